"""Turned copies of every image: Choquette-Choo et al. 2021, section 3.3."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from vestige.auditing.label_only.copies import CopiesOfRecords
from vestige.auditing.label_only.probe import RATIO, all_records, image_axes, range_of, refuse_no_images
from vestige.core.inputs import InputSpace
from vestige.core.records import Records
from vestige.core.targets import LabelTarget
from vestige.signals.label_only.rotations import angles, rotation_labels


@dataclass(frozen=True)
class Rotations(CopiesOfRecords):
    """Images turned by an angle to either side, and the image itself.

    Attributes:
        choices: Angles to choose from [degrees].
        dense: Whether images are turned by every whole degree up to the angle, instead of by the angle alone.

    Example:
        >>> Rotations().n_queries(4.0), Rotations(dense=True).n_queries(4.0)
        (3, 9)
    """

    choices: tuple[float, ...] = (2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0)
    dense: bool = False

    @property
    def attacks(self) -> tuple[str, ...]:
        """`rotations`, the classifier of copies, and their likelihood ratio."""
        return ("rotations", "nn_augmentation", RATIO)

    def strengths(self, pool: Records, space: InputSpace) -> tuple[float, ...]:
        """Return the angles to choose from."""
        refuse_no_images(pool, "rotations")
        return self.choices

    def n_queries(self, strength: float | int) -> int:
        """Return 3, or more if dense."""
        return len(angles(strength, dense=self.dense))

    def ask(
        self, target: LabelTarget, pool: Records, space: InputSpace, strength: float | int, seed: int
    ) -> Bool[np.ndarray, "record copy"]:
        """Ask about the turned images."""
        low, high = range_of(pool, space)
        return rotation_labels(
            target, pool.inputs, pool.labels, all_records(pool), strength, dense=self.dense,
            low=low, high=high, axes=image_axes(pool),
        )  # fmt: skip
