"""Random augmentations: which copies that a training pipeline could have made of a record get its true class."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from vestige.core.errors import InputError
from vestige.core.targets import LabelTarget
from vestige.signals.label_only.copies import correct_copies
from vestige.signals.label_only.keyed_draws import DRAWS_PER_STREAM, KeyedDraws

Augment = Callable[[np.ndarray, np.random.Generator], np.ndarray]
"""From a batch, as inputs are in the records, to the batch changed at random, by numbers of the generator alone."""


def random_augmentation_labels(
    target: LabelTarget,
    inputs: np.ndarray,
    labels: Int[np.ndarray, " record"],
    records: Int[np.ndarray, " record"],
    augment: Augment,
    n_draws: int,
    seed: int,
    *,
    batch_size: int | None = None,
) -> Bool[np.ndarray, "record draw"]:
    """Ask about random copies of every record; draws are exchangeable, so that how many are right is all they say.

    A draw depends on the seed, the record's number and the number of the draw alone, as in `noise_labels`; records
    themselves are not asked about.

    Args:
        target: What answers with labels.
        inputs: The records, an array.
        labels: Their true classes.
        records: Which record of the audit each is: for the ledger, and for the draws.
        augment: The pipeline. It is given 64 copies of one record at a time.
        n_draws: Copies of each record; 1,000 in the paper.
        seed: Of the draws.
        batch_size: Queries per batch; as `correct_copies`.

    Returns:
        Whether each copy gets the true class.

    Raises:
        InputError: Lengths do not fit, or the pipeline does not return a batch like the one it was given.
        TargetError: The target does not answer.
        BudgetError: There is no budget for a batch; earlier ones were asked.

    Example:
        >>> class First:
        ...     n_classes = 2
        ...
        ...     def labels(self, inputs, records):
        ...         return inputs[:, 0]
        >>> def mirrored(batch, rng):
        ...     return np.where(rng.random((len(batch), 1)) < 0.5, batch[:, ::-1], batch)
        >>> row, one = np.array([[1, 0]]), np.array([1])
        >>> correct = random_augmentation_labels(First(), row, one, np.array([0]), mirrored, 1000, seed=0)
        >>> bool(450 < correct.sum() < 550)
        True

    Source:
        Choquette-Choo et al. 2021, section 6.1, FixMatch: 1,000 draws of the training pipeline.
    """

    def make(rows: np.ndarray, first: int, last: int) -> Any:
        return np.concatenate([_draws(inputs[row], int(records[row]), augment, seed, first, last) for row in rows])

    return correct_copies(target, inputs, labels, records, n_draws, make, batch_size=batch_size)


def _draws(image: np.ndarray, record: int, augment: Augment, seed: int, first: int, last: int) -> np.ndarray:
    """Whole streams are drawn and cut: a pipeline may draw one number for all of a batch before the next."""
    keys = KeyedDraws(seed, "random augmentations", lambda rng, n: np.empty(n))
    batch = np.repeat(image[None], DRAWS_PER_STREAM, axis=0)
    streams = range(first // DRAWS_PER_STREAM, -(-last // DRAWS_PER_STREAM))
    parts = [_like(batch, augment(batch.copy(), keys.generator(record, stream))) for stream in streams]
    start = streams[0] * DRAWS_PER_STREAM
    return np.concatenate(parts)[first - start : last - start]


def _like(batch: np.ndarray, found: Any) -> np.ndarray:
    if not isinstance(found, np.ndarray) or found.shape != batch.shape or found.dtype != batch.dtype:
        kind = f"{getattr(found, 'dtype', type(found).__name__)} of shape {getattr(found, 'shape', None)}"
        raise InputError(
            f"Expected the augmentation to return an array of {batch.dtype} of shape {batch.shape}, found {kind}; "
            "it is given inputs as they are in the records, and must return such."
        )
    return found
