"""Are reference models surer of what they are said to be trained on, as the target is of its members?"""

from math import erfc, sqrt

import numpy as np
from jaxtyping import Bool, Float, Int

from vestige.core.messages import few
from vestige.core.result import Check, Validity
from vestige.evaluation.preflight.judgement import judged
from vestige.evaluation.preflight.per_unit import unit_means, unit_numbers

LEVEL = 0.001
"""Honest audits flagged at most; shared by all models."""

LEAST_SHARE = 0.4
"""Of the target's gain in confidence by training: models of one recipe differ, but not by so much."""

_FEWEST = 20  # units on each side of a model's training set, from which on a mean has a spread


def reference_membership(
    phi: Float[np.ndarray, " record"],
    member: Bool[np.ndarray, " record"],
    shadow_phi: Float[np.ndarray, "model record"],
    is_in: Bool[np.ndarray, "model record"],
    units: Int[np.ndarray, " record"] | None = None,
) -> Check | None:
    """Compare what training on a record gains each reference model in confidence with what it gains the target.

    A record's difficulty is taken out by the other models' mean. Where the target gains and a model gains nothing, its
    membership is probably another model's. Where no model gains anything, nothing is said.

    Args:
        phi: The target's confidence in the true class on the logit scale.
        member: Whether the target was trained on each record.
        shadow_phi: That of each reference model; NaN where one did not answer.
        is_in: Whether each is said to have been trained on each record.
        units: Subject of each record; None if every record is its own.

    Returns:
        CONFOUNDED if at least half of the models, or all on average, gain less than 0.4 of what the target (or the
        median model) does, at `LEVEL` (Bonferroni over models); LIMITED if fewer do. None without 20 units a side.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> is_in, member = rng.random((8, 400)) < 0.5, rng.random(400) < 0.5
        >>> shadow_phi, phi = rng.normal(size=(8, 400)) + 2 * is_in, rng.normal(size=400) + 2 * member
        >>> str(reference_membership(phi, member, shadow_phi, is_in).validity)
        'VALID'
        >>> str(reference_membership(phi, member, np.roll(shadow_phi, 1, axis=0), is_in).validity)
        'CONFOUNDED'
    """
    target, gains = _gains(phi, member, shadow_phi, is_in, unit_numbers(units, member.size))
    if target is None or not gains:
        return None
    which, (gain, variance) = np.array(list(gains)), np.array(list(gains.values())).T
    average = float(gain.mean())
    of_average = 2 * float(variance.mean()) / gain.size  # two models of a complementary pair may tell the same
    middle = float(np.median(gain)), float(np.median(variance))
    p_models = np.array([min(_p_less(*one, *other) for other in (target, middle)) for one in gains.values()])
    n_tests = 2 * gain.size + 1
    p_average = min(1.0, n_tests * _p_less(average, of_average, *target))
    without = which[n_tests * p_models < LEVEL]
    p_value = min(1.0, p_average, n_tests * float(p_models.min()))
    said = (
        f"Training on a record raises the target's confidence in it by {target[0]:.2f} on the logit scale, that of "
        f"the {gain.size} reference models by {average:.2f} on average, {gain.min():.2f} to {gain.max():.2f} (p = "
        f"{p_value:.2g})"
    )
    whole = p_average < LEVEL or 2 * without.size >= gain.size
    wrong = Validity.CONFOUNDED if whole else Validity.LIMITED
    who = "they gain" if whole else f"{without.size} of them (models {few([str(i) for i in without], 5)}) gain"
    return judged(
        "reference_membership",
        wrong if p_average < LEVEL or without.size else Validity.VALID,
        said,
        f": {who} too little by the records that they are said to be trained on",
        "Are the rows of their membership in another order than the models (names sort 0, 1, 10, 2), or are 0 and 1 "
        "exchanged there? Match answers and membership by model, and records by id. Or train them as the target was.",
    )


def _gains(
    phi: np.ndarray, member: np.ndarray, shadow_phi: np.ndarray, is_in: np.ndarray, number: np.ndarray
) -> tuple[tuple[float, float] | None, dict[int, tuple[float, float]]]:
    """Gain of the target, and of each model that has one, with its variance; difficulty is the other models' mean."""
    answered = ~np.isnan(shadow_phi)
    count, total = answered.sum(axis=0), np.where(answered, shadow_phi, 0.0).sum(axis=0)
    gains = {}
    for model, own in enumerate(shadow_phi):
        known = answered[model]
        others = (total[known] - own[known]) / np.maximum(count[known] - 1, 1)
        gain = _gain(own[known] - others, is_in[model][known], number[known])
        if gain is not None:
            gains[model] = gain
    return _gain(phi - total / np.maximum(count, 1), member, number), gains


def _gain(
    residual: Float[np.ndarray, " known"], is_in: Bool[np.ndarray, " known"], number: Int[np.ndarray, " known"]
) -> tuple[float, float] | None:
    """Mean of the records trained on less that of the others, and its variance; None with too few of either."""
    sides = []
    for side in (is_in, ~is_in):
        if not side.any():
            return None
        means = unit_means(residual[side], np.unique(number[side], return_inverse=True)[1])
        if means.size < _FEWEST:
            return None
        sides.append((float(means.mean()), float(means.var(ddof=1)) / means.size))
    (inside, of_inside), (outside, of_outside) = sides
    return inside - outside, of_inside + of_outside


def _p_less(gain: float, variance: float, expected: float, of_expected: float) -> float:
    """One-sided p-value against "gains at least the least share of what is expected"."""
    spread = variance + LEAST_SHARE**2 * of_expected
    if spread <= 0:
        return 1.0
    return 0.5 * erfc((LEAST_SHARE * expected - gain) / sqrt(2 * spread))
