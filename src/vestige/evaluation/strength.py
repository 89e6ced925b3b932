"""Which strength of a perturbation an attack takes: chosen on models whose members are known, never on the target."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from vestige.core.errors import InputError
from vestige.evaluation.roc import best_point, point_at_fpr, roc
from vestige.evaluation.thresholds import known_scores, strict_thresholds
from vestige.evaluation.units import Units

LikelihoodRatio = Callable[
    [Float[np.ndarray, " record"], Float[np.ndarray, "model record"], Bool[np.ndarray, "model record"]], np.ndarray
]
"""From a signal of a target, that of its shadow models, and their members, to scores."""


@dataclass(frozen=True)
class SourceChoice:
    """A strength and a threshold, chosen together.

    Attributes:
        strength: Place of the strength among those that were tried.
        threshold: A record is called a member if its score is strictly above.
        balanced_accuracy: What the pair reaches on the source [fraction]; optimistic, because it was chosen there.
    """

    strength: int
    threshold: float
    balanced_accuracy: float


def choose_on_source(
    scores: Sequence[Float[np.ndarray, " record"]], member: Bool[np.ndarray, " record"]
) -> SourceChoice:
    """Choose strength and threshold together, by the best balanced accuracy on a source model.

    Of equally good ones the first strength and the highest threshold count. One threshold holds for all classes.

    Args:
        scores: For each strength, such as a noise, an angle or a shift, the score of every record of the source model.
        member: Which of them the source model was trained on.

    Returns:
        The choice, to be used on the target as it is.

    Raises:
        InputError: There is no strength, a side is empty, or a score is NaN.

    Example:
        >>> member = np.array([True, True, False, False])
        >>> weak, strong = np.array([3.0, 3.0, 3.0, 2.0]), np.array([3.0, 2.0, 1.0, 0.0])
        >>> choose_on_source([weak, strong], member)
        SourceChoice(strength=1, threshold=1.0, balanced_accuracy=1.0)

    Source:
        Choquette-Choo et al. 2021: magnitudes are tuned on the source model and transferred; the strict threshold is
        that of their published code.
    """
    if not len(scores):
        raise InputError("Expected scores for at least one strength, found none.")
    best: SourceChoice | None = None
    for place, of_strength in enumerate(scores):
        known = known_scores(Units(None, member), of_strength)
        tpr, fpr = known.curve.rates_at(best_point(known.curve))
        accuracy = (tpr + 1 - fpr) / 2
        if best is None or accuracy > best.balanced_accuracy + 1e-12:
            best = SourceChoice(place, float(strict_thresholds(known).values[0]), accuracy)
    assert best is not None
    return best


@dataclass(frozen=True, eq=False)
class ShadowChoice:
    """A strength chosen on shadow models.

    Attributes:
        strength: Place of the strength among those that were tried.
        tpr: What each reaches when each shadow model in turn is the target [fraction].
    """

    strength: int
    tpr: Float[np.ndarray, "strength model"]


def choose_on_shadows(
    attack: LikelihoodRatio,
    shadow_signal: Sequence[Float[np.ndarray, "model record"]],
    is_in: Bool[np.ndarray, "model record"],
    partner: Int[np.ndarray, " model"],
    *,
    fpr: float = 0.01,
) -> ShadowChoice:
    """Choose a strength by what it reaches with every shadow model in turn as the target, on average.

    Of equally good ones the first counts.

    Args:
        attack: Such as `empirical_bayes_online`.
        shadow_signal: For each strength, the signal of every shadow model.
        is_in: Whether each was trained on each record.
        partner: Which model is left out together with each, because its training set is the rest; -1: none.
        fpr: False-positive rate at which true-positive rates are compared [fraction].

    Returns:
        The choice; the target is not looked at.

    Raises:
        InputError: There is no strength, or what remains is too little for the attack.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> is_in = np.repeat(rng.random((3, 300)) < 0.5, 2, axis=0)
        >>> is_in[1::2] = ~is_in[::2]
        >>> weak, strong = (rng.normal(size=is_in.shape) + leak * is_in for leak in (0, 3))
        >>> above_mean = lambda phi, shadow_phi, is_in: phi - shadow_phi.mean(axis=0)
        >>> choose_on_shadows(above_mean, [weak, strong], is_in, np.arange(6) ^ 1).strength
        1

    Source:
        Ours.
    """
    if not len(shadow_signal):
        raise InputError("Expected the signals of shadow models for at least one strength, found none.")
    models = np.arange(len(is_in))
    tpr = np.empty((len(shadow_signal), len(is_in)))
    for place, signal in enumerate(shadow_signal):
        for model in models:
            others = (models != model) & (models != partner[model])
            scores = attack(signal[model], signal[others], is_in[others])
            curve = roc(scores[is_in[model]], scores[~is_in[model]])
            tpr[place, model] = curve.rates_at(point_at_fpr(curve, fpr))[0]
    return ShadowChoice(int(np.argmax(tpr.mean(axis=1))), tpr)
