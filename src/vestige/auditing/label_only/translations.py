"""Shifted copies of every image: Choquette-Choo et al. 2021, section 3.3."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from vestige.auditing.label_only.copies import CopiesOfRecords
from vestige.auditing.label_only.probe import RATIO, all_records, image_axes, refuse_no_images
from vestige.core.inputs import InputSpace
from vestige.core.records import Records
from vestige.core.targets import LabelTarget
from vestige.signals.label_only.translations import shifts, translation_labels


@dataclass(frozen=True)
class Translations(CopiesOfRecords):
    """Images shifted by up to a number of pixels along the axes, the image itself among them.

    Attributes:
        choices: Distances to choose from [pixels].

    Example:
        >>> Translations().n_queries(2)
        9
    """

    choices: tuple[int, ...] = (1, 2, 3)

    @property
    def attacks(self) -> tuple[str, ...]:
        """`translations`, the classifier of copies, and their likelihood ratio."""
        return ("translations", "nn_augmentation", RATIO)

    def strengths(self, pool: Records, space: InputSpace) -> tuple[int, ...]:
        """Return the distances to choose from."""
        refuse_no_images(pool, "translations")
        return self.choices

    def n_queries(self, strength: int) -> int:
        """Return `4 d + 1`."""
        return len(shifts(strength))

    def ask(
        self, target: LabelTarget, pool: Records, space: InputSpace, strength: int, seed: int
    ) -> Bool[np.ndarray, "record copy"]:
        """Ask about the shifted images."""
        return translation_labels(target, pool.inputs, pool.labels, all_records(pool), strength, axes=image_axes(pool))
