"""Noisy copies of every record: Choquette-Choo et al. 2021, section 3.4."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from vestige.auditing.label_only.copies import CopiesOfRecords
from vestige.auditing.label_only.probe import RATIO, all_records
from vestige.core.errors import InputError
from vestige.core.inputs import InputSpace
from vestige.core.records import Records
from vestige.core.targets import LabelTarget
from vestige.signals.label_only.agreement import prefix_counts
from vestige.signals.label_only.noise import NoiseStrength, noise_labels

_FLIPS = (0.005, 0.01, 0.02, 0.05)
_GAUSSIAN = (0.02, 0.05, 0.1, 0.2)
_DRAWS = (10, 25, 50, 100, 250, 500, 1_000)  # queries at which the attack is looked at


@dataclass(frozen=True)
class NoisyCopies(CopiesOfRecords):
    """Copies with noise, of the kind that the features allow: Gaussian for numbers, flips for bits and categories.

    Attributes:
        n_draws: Copies of every record.
        choices: Strengths to choose from; usual ones for these features if empty.

    Raises:
        InputError: There is no draw.

    Example:
        >>> NoisyCopies(100).n_queries(NoiseStrength(flips=0.02))
        100
    """

    n_draws: int = 100
    choices: tuple[NoiseStrength, ...] = ()

    def __post_init__(self) -> None:
        if self.n_draws < 1:
            raise InputError(f"Expected at least 1 noisy copy of each record, found {self.n_draws}; 100 is usual.")

    @property
    def attacks(self) -> tuple[str, ...]:
        """`noise_robustness`, and the likelihood ratio of copies."""
        return ("noise_robustness", RATIO)

    def strengths(self, pool: Records, space: InputSpace) -> tuple[NoiseStrength, ...]:
        """Return the strengths to choose from."""
        if self.choices:
            return self.choices
        is_binary = space.is_binary(pool.inputs)
        has_text = hasattr(pool.inputs, "columns")
        if not has_text and is_binary.all():
            return tuple(NoiseStrength(flips=p) for p in _FLIPS)
        if not has_text and not is_binary.any():
            return tuple(NoiseStrength(gaussian=s) for s in _GAUSSIAN)
        return tuple(NoiseStrength(gaussian=s, flips=p) for s, p in zip(_GAUSSIAN, _FLIPS, strict=True))

    def n_queries(self, strength: NoiseStrength) -> int:
        """Return `n_draws`."""
        return self.n_draws

    def ask(
        self, target: LabelTarget, pool: Records, space: InputSpace, strength: NoiseStrength, seed: int
    ) -> Bool[np.ndarray, "record draw"]:
        """Ask about the noisy copies; those of a seed are the same for every model."""
        return noise_labels(target, pool.inputs, pool.labels, all_records(pool), space, strength, self.n_draws, seed)

    def after_fewer(self, correct: np.ndarray, right: np.ndarray) -> tuple[tuple[int, ...], np.ndarray]:
        """Return scores after fewer draws."""
        budgets = tuple(n for n in _DRAWS if n <= correct.shape[1]) or (correct.shape[1],)
        return budgets, np.where(right[:, None], prefix_counts(correct, budgets).T, 0.0)
