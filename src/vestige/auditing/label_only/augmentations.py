"""Copies drawn by the training pipeline: Choquette-Choo et al. 2021, section 6.1 and figure 4."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from vestige.auditing.label_only.copies import DrawnCopies
from vestige.auditing.label_only.probe import IMITATED, LEARNT, RATIO, all_records
from vestige.core.errors import InputError
from vestige.core.inputs import InputSpace
from vestige.core.records import Records
from vestige.core.targets import LabelTarget
from vestige.signals.label_only.random_augmentations import Augment, random_augmentation_labels


@dataclass(frozen=True)
class Augmentations(DrawnCopies):
    """Random copies of every record, made as training made them: by the user's own pipeline.

    Attributes:
        augment: The pipeline: from a batch of inputs, as they are in the records, and a NumPy generator to the batch
            changed at random. It takes all of its randomness from the generator, and keeps shape and dtype.
        n_draws: Copies of every record; 1,000 in the paper.

    Raises:
        InputError: There is no pipeline, or no draw.

    Example:
        >>> def mirrored(batch, rng):
        ...     return np.where(rng.random((len(batch), 1, 1)) < 0.5, batch[:, :, ::-1], batch)
        >>> Augmentations(mirrored, 50).n_queries("mirrored")
        50
    """

    augment: Augment
    n_draws: int = 100

    def __post_init__(self) -> None:
        if not callable(self.augment):
            raise InputError(
                f"Expected a function from a batch and a generator to a batch as augment, found {self.augment!r}; give "
                "the pipeline that training used."
            )
        super().__post_init__()

    @property
    def attacks(self) -> tuple[str, ...]:
        """`random_augmentations`, the likelihood ratio and the learnt ratio of copies, and that with imitators."""
        return ("random_augmentations", RATIO, LEARNT, IMITATED)

    def strengths(self, pool: Records, space: InputSpace) -> tuple[str, ...]:
        """Return the pipeline's name: it is as strong as it was in training, and nothing is chosen."""
        if hasattr(pool.inputs, "columns"):
            raise InputError(
                "Expected inputs as an array of numbers for draws of a pipeline, found a table with columns; encode "
                "it, or take noisy copies, which change categories to others."
            )
        return (str(getattr(self.augment, "__name__", type(self.augment).__name__)),)

    def ask(
        self, target: LabelTarget, pool: Records, space: InputSpace, strength: str, seed: int
    ) -> Bool[np.ndarray, "record draw"]:
        """Ask about the draws; those of a seed are the same for every model."""
        return random_augmentation_labels(
            target, pool.inputs, pool.labels, all_records(pool), self.augment, self.n_draws, seed
        )
