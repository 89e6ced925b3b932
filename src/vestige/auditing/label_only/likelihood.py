"""The likelihood ratio of what label-only probes observe, whichever probe observes it: copies or boundary distances."""

from collections.abc import Collection
from contextlib import suppress

import numpy as np
from jaxtyping import Float

from vestige.attacks import named
from vestige.attacks._finite_distances import finite_distances
from vestige.auditing.label_only.probe import FEWEST, LEARNT, RATIO, score
from vestige.auditing.label_only.question import LabelQuestion, ShadowLabels
from vestige.auditing.played import Played
from vestige.auditing.references.phi import fewest_on_a_side
from vestige.core.drawn_together import remaining
from vestige.core.errors import InputError
from vestige.core.result import NotRun

TOO_FEW = NotRun(RATIO, f"at least {FEWEST[RATIO]} shadow models in pairs")
"""What is said where the shadow models do not allow it."""

TOO_FEW_TO_LEARN = NotRun(LEARNT, f"at least {FEWEST[LEARNT]} shadow models in pairs")
"""The same of the learnt ratio."""

SCALE = (
    "asinh of the signed L2 distance over the shadow models' median: linear near the decision boundary, logarithmic "
    "far from it"
)
"""What `normal_scale` does, for a definition."""


def allows_ratio(shadows: ShadowLabels | None, wanted: Collection[str] = (RATIO,)) -> bool:
    """Whether they suffice for a ratio that is wanted: without one and its partner, IN and OUT models are left."""
    if shadows is None or all(name not in wanted or len(shadows.member) < FEWEST[name] for name in FEWEST):
        return False
    left = shadows.member[remaining(shadows.member, shadows.groups, 0)]
    return len(left) > 0 and fewest_on_a_side(left) >= 1


def ratio_scores(
    question: LabelQuestion,
    own: Float[np.ndarray, " record"],
    theirs: Float[np.ndarray, "model record"],
    is_in: np.ndarray,
) -> Float[np.ndarray, " record"]:
    """Score one model's signal by the likelihood ratio with other models' signals."""
    return score(question.wanted.get(RATIO) or named(RATIO), own, shadow_agreement=theirs, is_in=is_in)


def played_ratio(
    question: LabelQuestion, own: np.ndarray, theirs: np.ndarray, *, n_queries: int, definition: str
) -> Played:
    """Play the likelihood ratio on the target, and on the first shadow model, without its partner, for thresholds.

    Args:
        question: Of the audit; with shadow models that `allows_ratio` allows.
        own: The target's signal of each record, on a scale where it is close to a normal distribution.
        theirs: That of every shadow model.
        n_queries: Queries about each record.
        definition: What the signal is.
    """
    shadows = question.shadows
    assert shadows is not None
    others = remaining(shadows.member, shadows.groups, 0)
    return Played(
        attack=question.wanted[RATIO],
        scores=ratio_scores(question, own, theirs, shadows.member),
        known_scores=ratio_scores(question, theirs[0], theirs[others], shadows.member[others]),
        n_queries=n_queries,
        definition=definition,
    )


def played_learnt(
    question: LabelQuestion, own: np.ndarray, theirs: np.ndarray, *, n_queries: int, definition: str
) -> Played | None:
    """Play the learnt ratio as `played_ratio` the likelihood ratio; None where the shadow models are too few.

    Thresholds come from the first shadow model where the others are enough to learn from without it.

    Args:
        question: As of `played_ratio`, like the rest.
        own: The target's signal of each record.
        theirs: That of every shadow model.
        n_queries: Queries about each record.
        definition: What the signal is.
    """
    attack, shadows = question.wanted[LEARNT], question.shadows
    assert shadows is not None
    ours = {"subjects": question.pool.subjects}
    kept = remaining(shadows.member, shadows.groups, 0)
    groups = shadows.groups, None if shadows.groups is None else shadows.groups[kept]
    signals = {"agreement": own, "shadow_agreement": theirs, "is_in": shadows.member}
    of_first = {"agreement": theirs[0], "shadow_agreement": theirs[kept], "is_in": shadows.member[kept]}
    known = None
    try:
        learnt = attack.learn(signals, groups=groups[0], **ours)
    except InputError:
        return None
    with suppress(InputError):
        known = attack.play(of_first, groups=groups[1], **ours)
    return Played(
        attack=attack,
        scores=attack.play(signals, groups=groups[0], fitted=learnt, **ours),
        known_scores=known,
        n_queries=n_queries,
        definition=definition,
        learnt=learnt.summary(LEARNT),
    )


def normal_scale(
    own: Float[np.ndarray, " record"], theirs: Float[np.ndarray, "model record"]
) -> tuple[Float[np.ndarray, " record"], Float[np.ndarray, "model record"]]:
    """Return boundary distances on a scale where one record's, under many models, are close to a normal distribution.

    The distance is 0 where the model is wrong about the record, or minus the distance to where its answer changes. In a
    linear model the signed distance is the logit-scaled confidence over the length of the weights, which is why it
    needs no transform near 0; far from the boundary, distances are skewed to the right, and the logarithm takes that
    away. The median of the shadow models says what is near.

    Args:
        own: Of the target [unit of the inputs]; infinite where no input of another class was found.
        theirs: Of every shadow model.

    Returns:
        `asinh(distance / median size of the shadow models' distances)` of both [1]. Infinite distances count as the
        largest finite one of their model.

    Example:
        >>> normal_scale(np.array([0.0, np.inf]), np.array([[-2.0, 2.0]]))[0].round(2)
        array([0.  , 0.48])

    Source:
        Ours. Compared on 17 small networks with identity, square root and logarithm, of signed and of unsigned
        distances: it had the largest AUC of the likelihood ratio, or nearly so, on each of three data sets.
    """
    finite = np.stack([finite_distances(row) for row in theirs])
    sizes = np.abs(finite[finite != 0])
    unit = float(np.median(sizes)) if sizes.size else 1.0
    return np.arcsinh(finite_distances(own) / unit), np.arcsinh(finite / unit)
