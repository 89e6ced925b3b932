"""Factors of the learning rate over a training: from the share of all steps done, in [0, 1), to a factor."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class SteepCosine:
    """cos(7π/16 · progress): from 1 down to 0.195; with a warm-up, times progress/warm_up until that is 1.

    Attributes:
        warm_up: Share of training over which the rate rises from 0. The very first step then changes no weight.

    Source:
        FixMatch (Sohn et al. 2020) without, Carlini et al.'s demonstration with a warm-up of 0.01.

    Example:
        >>> rate = SteepCosine(warm_up=0.01)
        >>> [round(rate(p), 4) for p in (0.0, 0.005, 0.01, 0.5)]
        [0.0, 0.5, 0.9999, 0.773]
    """

    warm_up: float = 0.0

    def __call__(self, progress: float) -> float:
        """Return the factor."""
        return math.cos(7 * math.pi / 16 * progress) * _rise(progress, self.warm_up)


@dataclass(frozen=True)
class HalfCosine:
    """(1 + cos(π · progress)) / 2: from 1 down to 0; with a warm-up, over what is left after it.

    Attributes:
        warm_up: Share of training over which the rate rises from 0. The very first step then changes no weight.

    Source:
        Loshchilov & Hutter 2017; Watson et al. without, the models of Carlini et al.'s Fig. 12 with a warm-up.

    Example:
        >>> HalfCosine()(0.5), HalfCosine(warm_up=0.5)(0.25), HalfCosine(warm_up=0.5)(0.5)
        (0.5, 0.5, 1.0)
    """

    warm_up: float = 0.0

    def __call__(self, progress: float) -> float:
        """Return the factor."""
        if progress < self.warm_up:
            return _rise(progress, self.warm_up)
        return (1 + math.cos(math.pi * (progress - self.warm_up) / (1 - self.warm_up))) / 2


@dataclass(frozen=True)
class Drop:
    """1, and from some point on a smaller factor.

    Attributes:
        at: Share of training after which the rate drops.
        factor: What it drops to.

    Example:
        >>> Drop(at=0.75, factor=0.1)(0.7), Drop(at=0.75, factor=0.1)(0.75)
        (1.0, 0.1)
    """

    at: float
    factor: float

    def __call__(self, progress: float) -> float:
        """Return the factor."""
        return 1.0 if progress < self.at else self.factor


def _rise(progress: float, warm_up: float) -> float:
    return 1.0 if progress >= warm_up else progress / warm_up
