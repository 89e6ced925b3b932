"""Asking a label target about several copies of each record, in full batches."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from vestige.core.errors import InputError, TargetError
from vestige.core.targets import LabelTarget

_BATCH_VALUES = 1 << 22  # numbers of a batch that nobody set the size of: 16 MB of float32
_FEWEST, _MOST = 64, 8192  # queries in such a batch

Make = Callable[[Int[np.ndarray, " row"], int, int], Any]
"""From rows of the inputs, the first copy and the one after the last, to these copies, a record's one after another."""


def correct_copies(
    target: LabelTarget,
    inputs: Any,
    labels: Int[np.ndarray, " record"],
    records: Int[np.ndarray, " record"],
    n_copies: int,
    make: Make,
    *,
    batch_size: int | None = None,
) -> Bool[np.ndarray, "record copy"]:
    """Ask about every copy of every record, and return which copies get the record's true class.

    Copies are made a batch at a time: no more are ever held.

    Args:
        target: What answers with labels.
        inputs: Records x anything, for their number and size.
        labels: True classes.
        records: Which record of the audit each is, for the ledger.
        n_copies: Copies of each record.
        make: Makes them.
        batch_size: Queries per batch at most; what fits 4 million numbers, but 64 to 8,192, if omitted.

    Returns:
        Whether the answer to each copy is the true class.

    Raises:
        InputError: Lengths do not fit, or a number is out of range.
        TargetError: The target does not answer, or not with one label per query.
        BudgetError: There is no budget for a batch; earlier ones were asked.

    Example:
        >>> class Sign:
        ...     n_classes = 2
        ...
        ...     def labels(self, inputs, records):
        ...         return (inputs[:, 0] > 0).astype(int)
        >>> inputs = np.array([[0.5], [2.5]])
        >>> def lower(rows, first, last):
        ...     return (inputs[rows, None] - np.arange(first, last)[:, None]).reshape(-1, 1)
        >>> correct_copies(Sign(), inputs, np.array([1, 1]), np.array([0, 1]), 4, lower).astype(int)
        array([[1, 0, 0, 0],
               [1, 1, 1, 0]])
    """
    _check(len(inputs), labels, records, n_copies, batch_size)
    size = batch_size or batch_size_for(inputs)
    correct = np.empty((len(inputs), n_copies), dtype=bool)
    together, at_once = max(1, size // n_copies), min(n_copies, size)
    for start in range(0, len(inputs), together):
        rows = np.arange(start, min(start + together, len(inputs)))
        for first in range(0, n_copies, at_once):
            last = min(first + at_once, n_copies)
            asked = np.repeat(records[rows], last - first)
            answered = np.asarray(target.labels(make(rows, first, last), asked))
            if answered.shape != asked.shape:
                raise TargetError(
                    f"Expected a label for each of {asked.size:,} queries, found an answer of shape {answered.shape}."
                )
            correct[rows, first:last] = answered.reshape(rows.size, -1) == labels[rows, None]
    return correct


def batch_size_for(inputs: Any) -> int:
    """Return how many queries of this size make a batch."""
    return int(np.clip(_BATCH_VALUES // max(1, math.prod(inputs.shape[1:])), _FEWEST, _MOST))


def _check(n_records: int, labels: np.ndarray, records: np.ndarray, n_copies: int, batch_size: int | None) -> None:
    if len(labels) != n_records or len(records) != n_records:
        raise InputError(
            f"Expected a label and a number for each of {n_records:,} records, found {len(labels):,} and "
            f"{len(records):,}; give one per record."
        )
    if n_copies < 1 or (batch_size is not None and batch_size < 1):
        raise InputError(f"Expected at least 1 copy and 1 query per batch, found {n_copies} and {batch_size}.")
    if records.size and records.min() < 0:
        raise InputError(f"Expected numbers of records from 0 on, found {records.min()}.")
