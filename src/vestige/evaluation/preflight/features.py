"""Raw inputs of any shape -> two tables of numbers a guesser can learn from.

Nothing here sees membership, so it may look at all records at once without giving the guess away.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from vestige.core.columns import is_sparse
from vestige.core.seeds import stream
from vestige.core.sparse import dense

WIDE = 200
"""More columns than this are condensed."""

MAX_COLUMNS = 1_000
"""Columns looked at: of a wider array a random choice."""

N_COMPONENTS = 50
MAX_LEVELS = 50
"""Categories with a column of their own: the most frequent."""

BLOCK_BYTES = 1 << 25


@dataclass(frozen=True, eq=False)
class Features:
    """The same records twice.

    Attributes:
        for_trees: Numbers, categories as codes in falling frequency, then by their text, missing values as NaN.
        for_logistic: Standardised, categories one-hot, missing values filled in and flagged.
    """

    for_trees: Float[np.ndarray, "record tree_column"]
    for_logistic: Float[np.ndarray, "record logistic_column"]


def encode(inputs: Any, labels: Int[np.ndarray, " chosen"], records: Int[np.ndarray, " chosen"], seed: int) -> Features:
    """Turn the chosen records' inputs and labels into numbers.

    Args:
        inputs: All records x anything: an array of any rank, or a DataFrame.
        labels: True class of each chosen record.
        records: Row numbers of the chosen records, in the order in which they are returned.
        seed: Seed of the choice of columns and of the random projections.

    Example:
        >>> features = encode(np.eye(4), np.array([0, 1, 0, 1]), np.arange(4), seed=0)
        >>> features.for_trees.shape, features.for_logistic.shape
        ((4, 5), (4, 6))
    """
    numbers, codes = _read(inputs, records, seed)
    codes = [*codes, _codes_by_frequency(labels)]
    if numbers.shape[1] > WIDE:
        numbers = _condense(numbers, seed)
    for_trees = np.column_stack([numbers, *codes])
    levels = max(2, min(MAX_LEVELS, MAX_COLUMNS // len(codes)))
    one_hot = np.concatenate([_one_hot(column, levels) for column in codes], axis=1)
    for_logistic = np.concatenate([_standardise(_fill(numbers)), _standardise(one_hot)], axis=1)
    if for_logistic.shape[1] > 2 * WIDE:
        for_logistic = _standardise(_principal_components(for_logistic, seed))
    return Features(for_trees, for_logistic)


def _read(inputs: Any, records: np.ndarray, seed: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Split the inputs into numbers (NaN where missing) and codes of categories (NaN where missing)."""
    if hasattr(inputs, "columns"):
        return _read_frame(inputs.iloc[records], seed)
    if inputs.dtype.kind in "biuf":
        return _read_array(inputs, records, seed), []
    return _read_frame(pd.DataFrame(inputs[records].reshape(records.size, -1)), seed)


def _read_array(inputs: Any, records: np.ndarray, seed: int) -> np.ndarray:
    width = int(np.prod(inputs.shape[1:]))
    columns = _choose_columns(width, seed)
    if is_sparse(inputs) and width > MAX_COLUMNS:  # columns with most numbers: of rare ones hardly a record has any
        columns = np.sort(np.argsort(-inputs[records].getnnz(axis=0), kind="stable")[:MAX_COLUMNS])
    table = np.empty((records.size, columns.size), dtype=np.float64 if width <= WIDE else np.float32)
    step = max(1, BLOCK_BYTES // max(1, width * inputs.dtype.itemsize))  # a memory map is never read as a whole
    by_place = np.argsort(records)  # a disk is read in its own order
    for start in range(0, records.size, step):
        some = by_place[start : start + step]
        rows = dense(inputs[records[some]])
        table[some] = rows.reshape(len(rows), -1)[:, columns]
    table[~np.isfinite(table)] = np.nan
    return table


def _choose_columns(width: int, seed: int) -> np.ndarray:
    if width <= MAX_COLUMNS:
        return np.arange(width)
    return np.sort(stream(seed, "preflight columns").choice(width, MAX_COLUMNS, replace=False))


def _read_frame(frame: Any, seed: int) -> tuple[np.ndarray, list[np.ndarray]]:
    numbers, codes = [], []
    for position in _choose_columns(frame.shape[1], seed):  # names may repeat, positions do not
        column = frame.iloc[:, position]
        number = _as_numbers(column)
        if number is not None:
            numbers.append(number)
            continue
        text = column.astype("object").where(column.notna(), "").astype(str)
        codes.append(_codes_by_frequency(column.astype("object").where(column.isna(), text)))
        if text.nunique() > MAX_LEVELS:
            numbers.extend(_words(text, seed))
    table = np.column_stack(numbers) if numbers else np.empty((len(frame), 0))
    table[~np.isfinite(table)] = np.nan
    return table, codes


def _as_numbers(column: Any) -> np.ndarray | None:
    """A column of numbers, dates or ISO text as float64; None if it is neither."""
    if column.dtype.kind == "c" or isinstance(column.dtype, pd.CategoricalDtype):
        return None
    if pd.api.types.is_numeric_dtype(column.dtype):  # truth values included
        return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
    if column.dtype.kind == "m":
        return np.asarray(column.dt.total_seconds())
    for parse in (_parsed_numbers, _parsed_dates):
        try:
            parsed = parse(column)
        except (TypeError, ValueError, OverflowError):
            continue
        if np.count_nonzero(~np.isnan(parsed)) > 0.9 * max(1, column.notna().sum()):
            return parsed
    return None


def _parsed_numbers(column: Any) -> np.ndarray:
    return np.asarray(pd.to_numeric(column, errors="coerce"), dtype=np.float64)


def _parsed_dates(column: Any) -> np.ndarray:
    dates = pd.to_datetime(column, format="ISO8601", errors="coerce", utc=True)
    return np.asarray((dates - pd.Timestamp(0, tz="UTC")).dt.total_seconds(), dtype=np.float64)


def _words(text: Any, seed: int) -> list[np.ndarray]:
    """Length and the main directions of a bag of words."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import HashingVectorizer

    bag = HashingVectorizer(n_features=1 << 12).fit_transform(text)
    bag = bag[:, np.flatnonzero(bag.getnnz(axis=0) > 1)]  # a word of one record tells nothing about another
    lengths = text.str.len().to_numpy(dtype=np.float64)
    if min(bag.shape) < 2:
        return [lengths]
    n_components = min(20, min(bag.shape) - 1)
    return [lengths, *TruncatedSVD(n_components, random_state=seed % 2**32).fit_transform(bag).T]


def _codes_by_frequency(values: Any) -> np.ndarray:
    """0 for the most frequent value, 1 for the next, and so on, equal ones by their text; NaN where missing.

    Never by where they stand first: with members first, the code of a text of one record would be its row.
    """
    codes, levels = pd.factorize(values)
    seen = codes[codes >= 0]
    names = np.array([str(level) for level in levels], dtype=np.str_)
    rank = np.empty(names.size, dtype=np.int64)
    rank[np.lexsort((names, -np.bincount(seen, minlength=names.size)))] = np.arange(names.size)
    out = np.full(codes.size, np.nan)
    out[codes >= 0] = rank[seen]
    return out


def _one_hot(codes: np.ndarray, levels: int) -> np.ndarray:
    """A column for each of the most frequent levels, and one for missing; the rare ones are all 0."""
    present = np.nan_to_num(codes, nan=-1.0).astype(np.int64)
    columns = [k for k in (-1, *range(levels)) if np.any(present == k)]
    return np.asarray(present[:, None] == np.array(columns), dtype=np.float64)


def _fill(numbers: np.ndarray) -> np.ndarray:
    """Medians for missing values, and a flag for each column that has some."""
    missing = np.isnan(numbers)
    flags = missing[:, missing.any(axis=0)]
    if not flags.size:
        return numbers
    # A column without any number has no median, and NumPy warns of it.
    medians = np.array([np.median(c[~m]) if not m.all() else 0.0 for c, m in zip(numbers.T, missing.T, strict=True)])
    return np.concatenate([np.where(missing, medians, numbers), flags], axis=1)


def _standardise(table: np.ndarray) -> np.ndarray:
    """Mean 0 and spread 1, cut at 8 so that an outlier cannot lead the regression."""
    if not table.size:
        return table.astype(np.float64)
    scale = np.max(np.abs(table), axis=0, keepdims=True).astype(np.float64)
    table = table / np.where(scale > 0, scale, 1.0)  # so that squares of huge numbers do not overflow
    spread = table.std(axis=0)
    return np.asarray(np.clip((table - table.mean(axis=0)) / np.where(spread > 1e-12, spread, 1.0), -8, 8))


def _condense(numbers: np.ndarray, seed: int) -> np.ndarray:
    """Main directions, each record's mean, spread, extremes and missing values, and some columns as they are."""
    some = stream(seed, "preflight raw columns").choice(numbers.shape[1], N_COMPONENTS, replace=False)
    missing = np.isnan(numbers)
    whole = _fill(numbers)[:, : numbers.shape[1]]
    by_record = [whole.mean(axis=1), whole.std(axis=1), whole.min(axis=1), whole.max(axis=1), missing.sum(axis=1)]
    return np.column_stack([_principal_components(whole, seed), *by_record, numbers[:, some]]).astype(np.float64)


def _principal_components(table: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.decomposition import PCA

    n_components = min(N_COMPONENTS, min(table.shape) - 1)
    solver = PCA(n_components, svd_solver="randomized", random_state=seed % 2**32)
    return np.asarray(solver.fit_transform(_standardise(table).astype(np.float32)))
