"""Answers that are not what they are said to be, refused with the row and the cure."""

import numpy as np

from vestige.core.blocks import SecondOfTwo
from vestige.core.errors import InputError
from vestige.core.outputs import GradientNorms, Logits, Loss, Output, Probabilities
from vestige.core.predictions import Predictions
from vestige.core.probabilities import SUM_TOLERANCE, rounding_of

_BLOCK_ROWS = 4096
_LEAST: dict[type[Output], tuple[float | None, str, str]] = {
    GradientNorms: (0.0, "gradient norms of at least 0", "give the norm"),
    Loss: (-1e-6, "losses of at least 0", "give -log p(true class)"),
}
"""The least value of an output that has one, what is expected, and what to give instead."""


def check_block(output: Output, block: np.ndarray, start: int) -> None:
    """Refuse values that are not finite, outside [0, 1], negative losses, or probabilities given as logits.

    Args:
        output: The output that the block is of.
        block: Some of its rows.
        start: Number of the first of them, from 0; messages count from 1.

    Raises:
        InputError: With the row, what it holds, and the cure.
    """
    if block.dtype.kind == "f" and not np.isfinite(block).all():
        finite = np.isfinite(block.reshape(len(block), -1)).all(axis=1)
        row = int(np.argmin(finite))
        column = "" if block.ndim != 2 else f", class column {int(np.argmin(np.isfinite(block[row]))) + 1}"
        raise InputError(
            f"Expected finite {output.kind}, found {'NaN' if np.isnan(block[row]).any() else 'infinity'} in row "
            f"{start + row + 1:,}{column}{_where(output)}; leave the record out or mend the export."
        )
    if isinstance(output, Probabilities):
        outside = (block.min(axis=1) < -1e-6) | (block.max(axis=1) > 1 + 1e-6)
        if outside.any():
            row = int(np.argmax(outside))
            are_percent = block.min() >= 0 and bool((np.abs(block.sum(axis=1) - 100) < 2).all())
            found, cure = f"{block[row].min():.6g} to {block[row].max():.6g}", _PERCENT if are_percent else _LOGITS
            raise _not_probabilities(output, start + row, found, cure)
    if isinstance(output, Logits) and start == 0 and _look_like_probabilities(output, block):
        rows = (
            "one number a row, all in [0, 1]"
            if isinstance(output.table, SecondOfTwo)
            else "rows in [0, 1] that sum to 1"
        )
        raise InputError(
            f"Expected logits, found {rows}{_where(output)}: these are probabilities; declare "
            "them so (probs in an npz, --set target.probabilities=true for an npy, Probabilities(...) in Python): no "
            "softmax twice."
        )
    least, expected, cure = _LEAST.get(type(output), (None, "", ""))
    if least is not None and (block < least).any():
        row = int(np.argmax(block < least))
        raise InputError(
            f"Expected {expected}, found {block[row]:.6g} in row {start + row + 1:,}{_where(output)}; {cure}, not its "
            "negative."
        )


def rows_that_miss_one(block: np.ndarray, start: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers and sums of the rows of a block that do not sum to 1 as float32 would."""
    sums = block.sum(axis=1, dtype=np.float64)
    rows = np.flatnonzero(np.abs(sums - 1) > SUM_TOLERANCE)
    return rows + start, sums[rows]


def rounding_of_table(predictions: Predictions, missed: list[tuple[np.ndarray, np.ndarray]]) -> str:
    """To what the probabilities are rounded, in words, if that is why rows miss 1; nothing where no row does.

    The table is read once more for that, which only rounded tables cost: whether 0.999 is a rounded sum cannot be told
    from the row alone.

    Args:
        predictions: What was read.
        missed: Rows that miss 1, as `rows_that_miss_one` gives them, in any order.

    Raises:
        InputError: A row misses 1 by more than the rounding of the whole table explains.
    """
    rows = np.concatenate([r for r, _ in missed]) if missed else np.empty(0, dtype=np.int64)
    if rows.size == 0:
        return ""
    output: Probabilities = predictions.output(Probabilities)
    rounding, tolerance = rounding_of(output.table.blocks(_BLOCK_ROWS), output.table.shape[1])
    sums = np.concatenate([s for _, s in missed])
    bad = np.abs(sums - 1) > tolerance
    if bad.any():
        first = np.argmin(np.where(bad, rows, np.iinfo(np.int64).max))
        raise _not_probabilities(output, int(rows[first]), f"a sum of {sums[first]:.6g}", _OWN)
    return rounding


def _look_like_probabilities(output: Output, block: np.ndarray) -> bool:
    """Whether logits are none: rows that sum to 1, or many single numbers that are all in 0..1."""
    if block.min() < 0 or block.max() > 1:
        return False
    if isinstance(output.table, SecondOfTwo):
        return len(block) >= _MANY
    return bool(np.abs(block.sum(axis=1) - 1).max() < SUM_TOLERANCE)


def _not_probabilities(output: Output, row: int, found: str, cure: str) -> InputError:
    return InputError(
        f"Expected probabilities, in [0, 1] with rows that sum to 1, found {found} in row {row + 1:,}{_where(output)}; "
        f"{cure}."
    )


_MANY = 32
_LOGITS = "if these are logits, declare them so (logits in an npz, logit_CLASS columns, Logits(...) in Python)"
_PERCENT = "these are percentages: divide them by 100"
_OWN = (
    "give a column for every class, or divide each row by its sum if each class was told from all others; if these are "
    "logits, declare them so (Logits(...) in Python)"
)


def _where(output: Output) -> str:
    return "" if output.table.name == output.kind else f" of {output.table.name}"
