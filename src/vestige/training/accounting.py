"""How private DP-SGD is: the accountant of the subsampled Gaussian mechanism, and the noise for a wanted epsilon."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import norm

from vestige.core.errors import InputError

LEAST_NOISE, MOST_NOISE = 0.1, 1e3
"""Noise that is looked for, in units of the clip: with less, epsilon is no promise; with more, nothing is learnt."""

_DELTAS = (1e-4, 1e-3, 0.003, 0.01, 0.03, 0.1, 0.3)  # at each of which epsilon says something else
_ORDERS = (math.log(0.01), math.log(1e3))  # of the Renyi divergence, less 1, as logarithms


@dataclass(frozen=True, kw_only=True)
class Privacy:
    """What DP-SGD promises of one model: (epsilon, delta) for records that are added or left out.

    It holds against whoever knows neither the seed of the training, which gives the noise again, nor the history: the
    mean losses in it are as they were.

    Attributes:
        epsilon: By the Renyi accountant, an upper bound [nats].
        delta: For which epsilon holds.
        gaussian_epsilon: By the central limit theorem of Gaussian differential privacy, as some published code reports
            it [nats]: no bound; of many noisy steps it may be far too high.
        clip: The most a record's gradient may be in a step.
        noise: Standard deviation of the noise in each step, in units of the clip.
        share: Of the records in a step, expected.
        n_steps: Steps of the training.
        sampling: How the records of a step were drawn, and how they were accounted for.

    Source:
        Mironov 2017; Mironov, Talwar & Zhang 2019 (the subsampled Gaussian); Canonne, Kamath & Steinke 2020,
        proposition 12 (from Renyi to epsilon); Bu et al. 2020 (the central limit).
    """

    epsilon: float
    delta: float
    gaussian_epsilon: float
    clip: float
    noise: float
    share: float
    n_steps: int
    sampling: str

    def most_tpr(self, fpr: float) -> float:
        """Return the most members that any attack may recognise at a false-positive rate.

        The least over several deltas and their epsilons; with all records in every step also what a Gaussian of that
        noise allows. A lower bound of an audit that lies above it shows a mistake in the training or in its accounting.

        Args:
            fpr: As a fraction.

        Example:
            >>> told = {"gaussian_epsilon": 1.0, "clip": 1.0, "noise": 1.0, "share": 0.1, "n_steps": 9, "sampling": ""}
            >>> round(Privacy(epsilon=1.0, delta=0.001, **told).most_tpr(0.1), 3)  # e * 0.1 + 0.001 is 0.273
            0.259

        Source:
            Kairouz, Oh & Viswanath 2015, theorem 2.1; Dong, Roth & Su 2022, corollary 2.1 (of Gaussians).
        """
        if self.noise == 0:
            return 1.0
        spent = [(epsilon_of(self.noise, self.share, self.n_steps, delta), delta) for delta in _DELTAS]
        bounds = [_most_tpr(fpr, *pair) for pair in [(self.epsilon, self.delta), *spent]]
        if self.share == 1:
            bounds.append(float(norm.cdf(norm.ppf(fpr) + math.sqrt(self.n_steps) / self.noise)))
        return min(bounds)

    def __str__(self) -> str:
        """In words."""
        return (
            f"DP-SGD, epsilon {self.epsilon:.4g} at delta {self.delta:.2g} by the Renyi accountant "
            f"({self.gaussian_epsilon:.4g} by the central limit): clip {self.clip:g}, noise {self.noise:.4g}, "
            f"{self.n_steps:,} steps with {self.share:.2%} of the records each, {self.sampling}"
        )


def _most_tpr(fpr: float, epsilon: float, delta: float) -> float:
    """What one pair of epsilon and delta allows."""
    ratio = math.exp(-epsilon)
    rising = math.inf if ratio == 0 else fpr / ratio + delta
    return min(rising, 1 - ratio * max(1 - delta - fpr, 0.0), 1.0)


def renyi(order: float, noise: float, share: float) -> float:
    """Return the Renyi divergence of one step: a Gaussian with, against without, one record drawn with a probability.

    Args:
        order: Above 1.
        noise: Standard deviation, in units of the clip.
        share: Probability that the record is in the step.

    Returns:
        Divergence of the mixture of N(1, noise^2), with that probability, and N(0, noise^2) from the latter [nats].

    Example:
        >>> round(renyi(4.0, 2.0, 1.0), 12)  # order / (2 noise^2)
        0.5

    Source:
        Mironov, Talwar & Zhang 2019, section 3: this direction is the larger one. The integral is by the trapezoidal
        rule, whose error falls exponentially, rather than by their series, which ends too early at low orders.
    """
    if share == 1:
        return order / (2 * noise**2)
    step = min(noise, noise**2) / 5
    z = np.arange(-12 * noise, order + 12 * noise, step)
    ratio = np.logaddexp(math.log1p(-share), math.log(share) + (2 * z - 1) / (2 * noise**2))
    logs = order * ratio - z**2 / (2 * noise**2)
    largest = float(logs.max())
    total = float(np.exp(logs - largest).sum()) * step / (noise * math.sqrt(2 * math.pi))
    return max((largest + math.log(total)) / (order - 1), 0.0)


_NO_NOISE = 1 / 700  # its square: below it, numbers end
_LARGEST_MU = 1e6  # epsilon is about half of its square: beyond it there is no digit left for delta


@lru_cache(maxsize=4096)
def epsilon_of(noise: float, share: float, n_steps: int, delta: float) -> float:
    """Return the epsilon of so many steps [nats], the least over orders; infinite without noise.

    Args:
        noise: Standard deviation in each step, in units of the clip.
        share: Probability that a record is in a step.
        n_steps: Steps.
        delta: For which epsilon is to hold.
    """
    if noise == 0:
        return math.inf

    def at(log_order: float) -> float:
        order = 1 + math.exp(log_order)
        spent = n_steps * renyi(order, noise, share)
        return spent + math.log1p(-1 / order) - (math.log(delta) + math.log(order)) / (order - 1)

    # Every order gives a bound, so that a minimum which is not quite found is none the less true.
    found = minimize_scalar(at, bounds=_ORDERS, method="bounded", options={"xatol": 1e-3})
    return max(float(found.fun), 0.0)


def gaussian_epsilon_of(noise: float, share: float, n_steps: int, delta: float) -> float:
    """Return epsilon by the central limit of Gaussian differential privacy [nats]; arguments as of `epsilon_of`."""
    mu = math.inf if noise**2 < _NO_NOISE else share * math.sqrt(n_steps) * math.sqrt(math.expm1(noise**-2))
    if mu > _LARGEST_MU:
        return math.inf

    def excess(epsilon: float) -> float:
        other = math.exp(min(epsilon + float(norm.logcdf(-epsilon / mu - mu / 2)), 0.0))
        return float(norm.cdf(mu / 2 - epsilon / mu)) - other - delta

    return 0.0 if excess(0.0) <= 0 else float(brentq(excess, 0.0, mu**2 / 2 + 40 * mu + 1))


def noise_for(epsilon: float, share: float, n_steps: int, delta: float) -> float:
    """Return the least noise, within 1 percent, with which so many steps stay below an epsilon.

    Args:
        epsilon: Wanted [nats].
        share: Probability that a record is in a step.
        n_steps: Steps.
        delta: For which epsilon is to hold.

    Raises:
        InputError: No noise that is looked for gives it.
    """
    low, high = LEAST_NOISE, MOST_NOISE
    ends = [epsilon_of(noise, share, n_steps, delta) for noise in (high, low)]
    if not ends[0] <= epsilon <= ends[1]:
        raise InputError(
            f"Expected an epsilon that noise of {low:g} to {high:g} clips gives in {n_steps:,} steps at delta "
            f"{delta:.2g}, {ends[0]:.3g} to {ends[1]:.3g}, found {epsilon:g}; take another one, other epochs, or noise."
        )
    while high > 1.002 * low:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if epsilon_of(middle, share, n_steps, delta) <= epsilon else (middle, high)
    return high


def n_epochs_within(epsilon: float, noise: float, share: float, n_steps: int, delta: float, at_most: int) -> int:
    """Return the most epochs, of so many steps each, that stay below an epsilon.

    Args:
        epsilon: Wanted [nats].
        noise: Standard deviation in each step, in units of the clip.
        share: Probability that a record is in a step.
        n_steps: Steps of an epoch.
        delta: For which epsilon is to hold.
        at_most: Epochs that there may be.

    Raises:
        InputError: Not even one does.
    """
    first = epsilon_of(noise, share, n_steps, delta)
    if first > epsilon:
        raise InputError(
            f"Expected an epsilon of at least {first:.3g}, that of one epoch with noise {noise:g}, found {epsilon:g}; "
            "take more noise, or smaller batches."
        )
    done, beyond = 1, at_most + 1
    while beyond - done > 1:
        middle = (done + beyond) // 2
        within = epsilon_of(noise, share, middle * n_steps, delta) <= epsilon
        done, beyond = (middle, beyond) if within else (done, middle)
    return done
