"""Answers per class and true labels, matched and checked, a block of rows at a time."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from vestige.core.errors import InputError

_BLOCK_ELEMENTS = 1 << 18  # 2 MB of float64: a block and its temporaries stay in the processor's cache

Rows = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From rows of a block in float64, which it may overwrite, and their labels, to one number per row."""


def per_row(work: Rows, answers: Any, labels: Any, what: str) -> Float[np.ndarray, "*axes"]:
    """Work out one number per row of answers; nothing in float64 is ever larger than a block but the result.

    Args:
        work: The arithmetic.
        answers: Any axes, then the class.
        labels: True class; of a shape that fits those axes.
        what: What the answers are called in messages.

    Raises:
        InputError: The shapes do not fit, a label is no class, an answer is not finite.
    """
    table = as_table(answers, what)
    shape, n_classes = table.shape[:-1], table.shape[-1]
    rows, truth = table.reshape(-1, n_classes), _fitting(labels, shape, n_classes)
    out = np.empty(len(rows))
    step = max(1, _BLOCK_ELEMENTS // n_classes)
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        block = np.array(rows[part], dtype=np.float64)
        if not np.isfinite(block).all():
            at = np.unravel_index(start + int(np.argmin(np.isfinite(block).all(axis=1))), shape)
            raise InputError(
                f"Expected finite {what}, found {block[~np.isfinite(block)][0]} in row "
                f"{', '.join(f'{int(i) + 1:,}' for i in at)}; leave that model or record out."
            )
        out[part] = work(block, truth[part])
    return out.reshape(shape)


def as_table(answers: Any, what: str) -> np.ndarray:
    """Return answers as an array whose last axis is the class.

    Raises:
        InputError: They are no numbers, or have no such axis.
    """
    table = np.asarray(answers)
    if table.ndim < 2 or table.shape[-1] < 2 or table.dtype.kind not in "fiub":
        raise InputError(
            f"Expected {what} as numbers, records first and at least 2 classes last, found {table.dtype} of shape "
            f"{table.shape}; give one entry per class."
        )
    return table


def taken_out(block: np.ndarray, labels: Int[np.ndarray, " row"], instead: float) -> Float[np.ndarray, " row"]:
    """Return the true class's entry of every row, and put something else in its place."""
    rows = np.arange(len(block))
    own = block[rows, labels]
    block[rows, labels] = instead
    return np.asarray(own)


def _fitting(labels: Any, shape: tuple[int, ...], n_classes: int) -> np.ndarray:
    truth = np.asarray(labels)
    if truth.dtype.kind not in "iu" or (truth.size and (truth.min() < 0 or truth.max() >= n_classes)):
        raise InputError(
            f"Expected labels as whole numbers in 0..{n_classes - 1}, found {truth.dtype} values up to "
            f"{truth.max() if truth.size else 'none'}; number the classes from 0."
        )
    try:
        return np.broadcast_to(truth, shape).reshape(-1)
    except ValueError:
        raise InputError(
            f"Expected labels that fit answers of shape {shape} (without classes), found shape {truth.shape}; "
            "with queries between records and classes give labels[:, None]."
        ) from None
