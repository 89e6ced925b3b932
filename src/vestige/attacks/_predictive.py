"""Predictive densities of phi per record under IN and OUT models, with priors fitted across records by moments."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import special

from vestige.core.errors import InputError


@dataclass(frozen=True, eq=False)
class SideMoments:
    """What a record's models on one side answered.

    Attributes:
        counts: How many did.
        means: Their mean; 0 where none did.
        squares: Sum of squares about it.
    """

    counts: Float[np.ndarray, " record"]
    means: Float[np.ndarray, " record"]
    squares: Float[np.ndarray, " record"]

    @property
    def known(self) -> Bool[np.ndarray, " record"]:
        """Whether any model answered."""
        return np.asarray(self.counts > 0)


@dataclass(frozen=True, eq=False)
class Predictive:
    """A Student-t predictive density per record."""

    mean: Float[np.ndarray, " record"]
    scale: Float[np.ndarray, " record"]
    freedom: Float[np.ndarray, " record"]


def predictives(
    shadow_phi: Float[np.ndarray, "model record"],
    is_in: Bool[np.ndarray, "model record"],
    *,
    shape: float = 4.0,
    min_between_in: float = 0.05,
    min_between_out: float = 0.1,
    min_std: float = 1e-3,
) -> tuple[Predictive, Predictive]:
    """Return what IN and what OUT models predict of each record's phi; options as of `empirical_bayes_online`.

    Raises:
        InputError: No model answered a record on one of the sides.
    """
    inside, outside = side_moments(shadow_phi, is_in, "trained on"), side_moments(shadow_phi, ~is_in, "not trained on")
    within_in, within_out = np.maximum(within_models(inside, outside), min_std**2)
    of_out = predictive_out(outside, within_out, shape, min_between_out)
    return predictive_in(inside, of_out.mean, within_in, shape, min_between_in), of_out


def side_moments(shadow_phi: np.ndarray, side: np.ndarray, name: str) -> SideMoments:
    answered = side & ~np.isnan(shadow_phi)
    if not answered.any():
        raise InputError(f"Expected answers of a shadow model to records it was {name}, found none; train more models.")
    values = np.where(answered, shadow_phi, 0.0).astype(np.float64)
    counts = answered.sum(axis=0).astype(np.float64)
    means = values.sum(axis=0) / np.maximum(counts, 1)
    squares = (np.where(answered, values - means, 0.0) ** 2).sum(axis=0)
    return SideMoments(counts, means, squares)


def within_models(inside: SideMoments, outside: SideMoments) -> tuple[float, float]:
    """Variance of models about their record's mean, on either side."""
    free_in, free_out = bool((inside.counts > 1).any()), bool((outside.counts > 1).any())
    if free_in or free_out:
        of_in, of_out = pooled_variance(inside) if free_in else 0.0, pooled_variance(outside) if free_out else 0.0
        return of_in if free_in else of_out, of_out if free_out else of_in
    both = inside.known & outside.known
    if both.sum() < 2:
        return 0.0, 0.0
    across = float(np.linalg.eigvalsh(np.cov(inside.means[both], outside.means[both], ddof=0))[0])
    return across, across


def pooled_variance(answers: SideMoments) -> float:
    """Variance about the records' means, corrected for their having been estimated."""
    return float(answers.squares.sum() / (answers.counts[answers.known] - 1).sum())


def predictive_out(outside: SideMoments, within: float, shape: float, floor: float) -> Predictive:
    """One prior mean for all records, that of all answers."""
    known, counts = outside.known, outside.counts
    mean = float(np.average(outside.means, weights=counts))
    between = _between(outside.means[known] - mean, counts[known], within, floor)
    return _updated(outside, np.full(counts.shape, mean), within, within / between, shape)


def predictive_in(
    inside: SideMoments, out_means: Float[np.ndarray, " record"], within: float, shape: float, floor: float
) -> Predictive:
    """A prior mean on a straight line in the OUT posterior mean, by least squares over records with IN models."""
    known = inside.known
    x, y = out_means[known] - out_means[known].mean(), inside.means[known] - inside.means[known].mean()
    spread = float(x @ x)
    slope = float(x @ y) / spread if spread > 0 else 0.0
    prior = inside.means[known].mean() + slope * (out_means - out_means[known].mean())
    between = _between(y - slope * x, inside.counts[known], within, floor)
    return _updated(inside, prior, within, within / between, shape)


def _between(residuals: np.ndarray, counts: np.ndarray, within: float, floor: float) -> float:
    """Variance of true means about the prior mean: that of the found means, less what their models' spread adds."""
    return max(floor, float(np.mean(residuals**2) - within * np.mean(1 / counts)))


def _updated(answers: SideMoments, prior: np.ndarray, within: float, strength: float, shape: float) -> Predictive:
    """Normal-inverse-gamma posterior as what it predicts; the prior mean weighs as much as `strength` models."""
    n, total = answers.counts, answers.counts + strength
    share = np.divide(n, total, out=np.zeros_like(n), where=total > 0)  # of the record's own models
    of_mean = np.divide(1, total, out=np.full_like(n, np.inf), where=total > 0)
    alpha = shape + n / 2
    beta = shape * within + (answers.squares + strength * share * (answers.means - prior) ** 2) / 2
    mean = prior + share * (answers.means - prior)
    return Predictive(mean, np.sqrt(beta / alpha * (1 + of_mean)), 2 * alpha)


def log_density(phi: np.ndarray, at: Predictive) -> Float[np.ndarray, " record"]:
    """Log-density of Student's t; scipy.stats has it too, and takes half a second to import."""
    half = at.freedom / 2
    constant = special.gammaln(half + 0.5) - special.gammaln(half) - 0.5 * np.log(np.pi * at.freedom)
    z = (phi - at.mean) / at.scale
    return np.asarray(constant - np.log(at.scale) - (half + 0.5) * np.log1p(z**2 / at.freedom))
