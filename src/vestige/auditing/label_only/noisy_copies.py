"""Noisy copies of every record: Choquette-Choo et al. 2021, section 3.4."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from vestige.auditing.label_only.copies import DrawnCopies
from vestige.auditing.label_only.probe import IMITATED, LEARNT, RATIO, all_records
from vestige.core.inputs import InputSpace
from vestige.core.records import Records
from vestige.core.targets import LabelTarget
from vestige.signals.label_only.mixtures import MixtureStrength, mixture_labels
from vestige.signals.label_only.noise import NoiseStrength, noise_labels

_FLIPS = (0.005, 0.01, 0.02, 0.05)
_GAUSSIAN = (0.02, 0.05, 0.1, 0.2)
_MIXTURES = (0.05, 0.1, 0.2, 0.4)


@dataclass(frozen=True)
class NoisyCopies(DrawnCopies):
    """Copies with noise, of the kind that the features allow: Gaussian for numbers, flips for bits and categories.

    Where the learnt ratio is played, it and the likelihood ratio may take mixtures with records of other classes in
    their place, if these find more members of the shadow models.

    Attributes:
        n_draws: Copies of every record.
        choices: Strengths of noise to choose from; usual ones for these features, and mixtures, if empty.

    Raises:
        InputError: There is no draw.

    Example:
        >>> NoisyCopies(100).n_queries(NoiseStrength(flips=0.02))
        100
    """

    n_draws: int = 100
    choices: tuple[NoiseStrength, ...] = ()

    @property
    def attacks(self) -> tuple[str, ...]:
        """`noise_robustness`, the likelihood ratio and the learnt ratio of copies, and the latter with imitators."""
        return ("noise_robustness", RATIO, LEARNT, IMITATED)

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

    def also_strengths(self, pool: Records, space: InputSpace) -> tuple[MixtureStrength, ...]:
        """Return mixtures, where the inputs are an array of records of several classes."""
        if self.choices or hasattr(pool.inputs, "columns") or np.ptp(pool.labels) == 0:
            return ()
        return tuple(MixtureStrength(share) for share in _MIXTURES)

    def ask(
        self,
        target: LabelTarget,
        pool: Records,
        space: InputSpace,
        strength: NoiseStrength | MixtureStrength,
        seed: int,
    ) -> Bool[np.ndarray, "record draw"]:
        """Ask about the copies; those of a seed are the same for every model."""
        if isinstance(strength, MixtureStrength):
            return mixture_labels(target, pool.inputs, pool.labels, space, strength, self.n_draws, seed)
        return noise_labels(target, pool.inputs, pool.labels, all_records(pool), space, strength, self.n_draws, seed)

    def after_fewer(self, correct: np.ndarray, right: np.ndarray) -> tuple[tuple[int, ...], np.ndarray]:
        """Return scores after fewer draws: how many are correct, and 0 for records the model is wrong about."""
        budgets, counts = super().after_fewer(correct, right)
        return budgets, np.where(right[:, None], counts, 0.0)
