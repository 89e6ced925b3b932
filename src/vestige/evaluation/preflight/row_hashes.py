"""A 64-bit number per record that is equal where the inputs are equal."""

from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import UInt64

from vestige.core.columns import is_sparse

BLOCK_VALUES = 1 << 20


def row_hashes(inputs: Any) -> UInt64[np.ndarray, " record"]:
    """Hash every record's inputs by value: -0.0 equals 0.0, and a missing value equals a missing value.

    Two different records among a million share a number with a probability of 3 in 10^8.

    Args:
        inputs: Records x anything: an array of any rank, or a DataFrame.

    Returns:
        One number per record, whatever the order of the records; comparable between calls of one width and the same
        kinds of columns.

    Example:
        >>> a, b, c = row_hashes(np.array([[0.0, np.nan], [-0.0, np.nan], [1.0, np.nan]]))
        >>> bool(a == b), bool(a == c)
        (True, False)
    """
    n = len(inputs)
    hashes = np.zeros(n, dtype=np.uint64)
    if hasattr(inputs, "columns"):
        keys = _multipliers(inputs.shape[1])
        for position, key in enumerate(keys):  # names may repeat, positions do not
            hashes += mix(_column_bits(inputs.iloc[:, position])) * key
        return hashes
    if inputs.dtype.kind not in "biuf":
        return row_hashes(pd.DataFrame(inputs.reshape(n, -1)))
    keys = _multipliers(int(np.prod(inputs.shape[1:])))
    if is_sparse(inputs):  # as if it were dense: zeros are counted first, and replaced where there is a number
        zero = mix(_bits(np.zeros(1, dtype=inputs.dtype)))
        numbers = (mix(_bits(inputs.data)) - zero) * keys[inputs.indices]
        until = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(numbers, dtype=np.uint64)])[inputs.indptr]
        return np.asarray(zero * keys.sum(dtype=np.uint64) + np.diff(until))
    step = max(1, BLOCK_VALUES // max(1, keys.size))
    for start in range(0, n, step):  # a memory map is never read as a whole
        rows = inputs[start : start + step]
        hashes[start : start + step] = (mix(_bits(rows.reshape(len(rows), -1))) * keys).sum(axis=1, dtype=np.uint64)
    return hashes


def _multipliers(n: int) -> np.ndarray:
    """An odd random factor per column, so that the order of the columns counts."""
    return np.random.default_rng(0).integers(1 << 63, size=n, dtype=np.uint64) * np.uint64(2) + np.uint64(1)


def _bits(values: np.ndarray) -> np.ndarray:
    """Equal numbers -> equal 64 bits."""
    if values.dtype.kind in "biu":
        return values.astype(np.int64).view(np.uint64)
    floats = values.astype(np.float64) + 0.0  # -0.0 + 0.0 is 0.0
    floats[np.isnan(floats)] = np.nan  # there are many bit patterns of NaN
    return floats.view(np.uint64)


def _column_bits(column: Any) -> np.ndarray:
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf":
        return _bits(column.to_numpy())
    try:
        codes, values = pd.factorize(column)
    except TypeError:  # lists and the like have no hash of their own
        codes, values = pd.factorize(column.map(repr))
    names = np.array([*map(_name, values), ""], dtype=object)  # the last one is that of a missing value
    return np.asarray(pd.util.hash_array(names, categorize=False)[codes])


def _name(value: Any) -> str:
    """A text per value, so that its number, unlike its code, does not depend on where it occurs first."""
    if isinstance(value, int | np.integer | np.bool_):  # 1, 1.0 and true are equal to pandas
        return f"number {int(value)}"
    if isinstance(value, float | np.floating):
        return f"number {int(value) if float(value).is_integer() else float(value)}"
    return f"{type(value).__name__} {value}"


def mix(bits: UInt64[np.ndarray, " *any"]) -> UInt64[np.ndarray, " *any"]:
    """Scatter the bits (the finaliser of SplitMix64); arithmetic is modulo 2^64.

    Example:
        >>> int(mix(np.array([0], dtype=np.uint64))[0])
        16294208416658607535

    Source:
        Steele, Lea & Flood 2014.
    """
    bits = bits + np.uint64(0x9E3779B97F4A7C15)
    bits ^= bits >> np.uint64(30)
    bits *= np.uint64(0xBF58476D1CE4E5B9)
    bits ^= bits >> np.uint64(27)
    bits *= np.uint64(0x94D049BB133111EB)
    bits ^= bits >> np.uint64(31)
    return bits
