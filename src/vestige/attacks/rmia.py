"""RMIA: how often a record's likelihood ratio beats that of points from the population."""

from math import inf, log

import numpy as np
from jaxtyping import Bool, Float

from vestige.attacks._log_means import log_confidence, log_mean_confidence, log_mean_out_confidence
from vestige.core.attack import attack
from vestige.core.errors import InputError


@attack(
    definition="share of the population that the record's likelihood ratio exceeds",
    source="Zarifzadeh et al. 2024",
    cites="zarifzadeh2024lowcost",
)
def rmia_online(
    phi: Float[np.ndarray, " record"],
    shadow_phi: Float[np.ndarray, "model record"],
    population_phi: Float[np.ndarray, " point"],
    population_shadow_phi: Float[np.ndarray, "model point"],
    *,
    gamma: float = 1.0,
) -> Float[np.ndarray, " record"]:
    """Score each record x by the share of the population's points z with `r_x / r_z > gamma`.

    `r` is the target's confidence over the mean confidence of all models. Every record must be IN equally many
    of the models, as after a target and its partner are left out of complementary pairs.

    Idea:
        A record is compared with many records of the population: a member should stand above most of them in how much
        surer the target is than models are on average.

    Formula:
        share of points z of the population with r(x) / r(z) > gamma
        r(x) = p_y(x) / (mean over all models of p_y,model(x))

    Args:
        phi: The target's logit-scaled confidence in the true class [logit], finite.
        shadow_phi: That of every shadow model [logit], finite.
        population_phi: The target's on points it was not trained on and that are not scored [logit], finite.
        population_shadow_phi: That of the same shadow models on the same points [logit], finite.
        gamma: How many times the ratio of a point must be beaten; a tie does not count.

    Returns:
        Share of points, from 0 to 1; higher means member.

    Raises:
        InputError: There is no model or no point, some phi is not finite, or gamma is not above 0.

    Example:
        >>> phi, shadow_phi = np.array([3.0, 0.0]), np.array([[0.0, 0.0]])
        >>> print(rmia_online(phi, shadow_phi, np.array([1.0, -1.0]), np.array([[0.0, 0.0]])))
        [1.  0.5]

    Source:
        Zarifzadeh, Liu & Shokri 2024, https://arxiv.org/abs/2312.03262, equation of the score and online mean. The
        paper writes `>=`, the authors' code compares by `>` as here. Softmax at temperature 1 and a plain mean.
        Deviation: the points are sorted once instead of compared with every record.
    """
    ratio = log_confidence(phi) - log_mean_confidence(shadow_phi)
    of_points = log_confidence(population_phi) - log_mean_confidence(population_shadow_phi)
    return _share_beaten(ratio, of_points, gamma)


@attack(
    definition="share of the population that the ratio exceeds, its mean guessed from models not trained on the record",
    source="Zarifzadeh et al. 2024",
    cites="zarifzadeh2024lowcost",
)
def rmia_offline(
    phi: Float[np.ndarray, " record"],
    shadow_phi: Float[np.ndarray, "model record"],
    is_in: Bool[np.ndarray, "model record"],
    population_phi: Float[np.ndarray, " point"],
    population_shadow_phi: Float[np.ndarray, "model point"],
    population_is_in: Bool[np.ndarray, "model point"],
    *,
    a: float = 0.3,
    gamma: float = 1.0,
) -> Float[np.ndarray, " record"]:
    """Score each record x by the share of the population's points z with `r_x / r_z > gamma`, from OUT models only.

    `r` is the target's confidence over `((1 + a) * mean of the OUT models + (1 - a)) / 2`.

    Idea:
        As `rmia_online`, from OUT models alone; the mean over all models is guessed from theirs.

    Formula:
        share of points z of the population with r(x) / r(z) > gamma
        r(x) = p_y(x) / (((1 + a) * (mean over OUT models of p_y,model(x)) + 1 - a) / 2)

    Args:
        phi: The target's logit-scaled confidence in the true class [logit], finite.
        shadow_phi: That of every shadow model [logit], finite.
        is_in: Whether each shadow model was trained on each record.
        population_phi: The target's on points it was not trained on and that are not scored [logit], finite.
        population_shadow_phi: That of the same shadow models on the same points [logit], finite.
        population_is_in: Whether each shadow model was trained on each point.
        a: How an IN model's confidence is guessed from an OUT model's: `a * p + 1 - a`, between 0 and 1.
        gamma: How many times the ratio of a point must be beaten; a tie does not count.

    Returns:
        Share of points, from 0 to 1; higher means member.

    Raises:
        InputError: Some record or point has no OUT model, there is no point, some phi is not finite, gamma is not
            above 0, or a is not between 0 and 1.

    Example:
        >>> phi, shadow_phi, is_in = np.array([3.0, 0.0]), np.array([[0.0, 0.0]]), np.array([[False, False]])
        >>> print(rmia_offline(phi, shadow_phi, is_in, np.array([1.0, -1.0]), shadow_phi, is_in))
        [1.  0.5]

    Source:
        Zarifzadeh, Liu & Shokri 2024, offline approximation of the mean. `>` as in the authors' code, where the
        paper writes `>=`. Deviation: a is given, not tuned on a reference model.
    """
    if not 0 <= a <= 1:
        raise InputError(f"Expected a from 0 to 1, found {a:g}; 0.3 is a usual value.")
    ratio = log_confidence(phi) - _log_mean_guessed(log_mean_out_confidence(shadow_phi, is_in), a)
    guessed = _log_mean_guessed(log_mean_out_confidence(population_shadow_phi, population_is_in), a)
    return _share_beaten(ratio, log_confidence(population_phi) - guessed, gamma)


def _log_mean_guessed(log_out: np.ndarray, a: float) -> np.ndarray:
    """Log of `((1 + a) * out + (1 - a)) / 2`, in the form that keeps the digits where `out` is near 1, or near 0."""
    near_one = np.log1p((1 + a) / 2 * np.expm1(np.maximum(log_out, -1.0)))
    near_zero = np.logaddexp(log_out + log((1 + a) / 2), log((1 - a) / 2) if a < 1 else -inf)
    return np.where(log_out > -1.0, near_one, near_zero)


def _share_beaten(ratio: np.ndarray, of_points: np.ndarray, gamma: float) -> np.ndarray:
    if not gamma > 0:
        raise InputError(f"Expected gamma above 0, found {gamma:g}; 1 is a usual value.")
    if of_points.size == 0:
        raise InputError("Expected at least 1 point of the population, found none; give records nobody was trained on.")
    beaten = np.searchsorted(np.sort(of_points), ratio - log(gamma), side="left")
    share: np.ndarray = beaten / of_points.size
    return share
