"""Label-only attacks by the distance to the decision boundary: alone, calibrated, of copies, and ended early."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Bool

from vestige.attacks._finite_distances import finite_distances
from vestige.auditing.label_only.findings import LabelQuestion, LabelScores, ShadowLabels
from vestige.auditing.label_only.probes import BoundarySearch, CombinedDistances, SettledSearch
from vestige.auditing.references.phi import remaining
from vestige.core.attack import Attack
from vestige.core.result import Check, NotRun, Validity
from vestige.core.targets import LabelTarget
from vestige.evaluation.strength import choose_on_source
from vestige.signals.boundary import BoundaryDistances, settlement

_CALIBRATED = "calibrated_boundary_distance"
_FARTHEST = "infinite ones as the largest finite one of their model"


def calibrated_search(found: LabelScores, probe: BoundarySearch, question: LabelQuestion) -> None:
    """Play the attack by distance, and the one that compares it with models that never saw the record, if wanted.

    One search of the target serves both: signed distances with those of records it is wrong about at 0 are the others.
    The references are the same for the target and for the first shadow model, on which thresholds are set; neither
    that model nor its partner is one of them.
    """
    shadows, pool = question.shadows, question.pool
    asked_about = None
    if probe.calibrated and _CALIBRATED in question.wanted:
        asked_about = None if shadows is None else references_of_records(shadows, probe.n_references)
        if asked_about is None:
            needs = "shadow models, beside the first and its partner, one of them not trained on each record"
            found.not_run.append(NotRun(_CALIBRATED, needs))
    if asked_about is None:
        if probe.attack not in question.wanted:
            return
        probe = replace(probe, n_references=0)
    source: BoundaryDistances | None = None
    references: list[tuple[np.ndarray, BoundaryDistances]] = []
    for number, model in _first(shadows, everyone=asked_about is not None):
        if number == 0:
            question.progress("searching for the boundary of a shadow model", 0, 1)
            source = probe.search(model, pool, question.space, question.seed)
        elif asked_about is not None and asked_about[number].any():
            question.progress("searching for the boundary of references", number, len(asked_about))
            rows = np.flatnonzero(asked_about[number])
            references.append((rows, probe.search(model, pool, question.space, question.seed, rows)))
    question.progress("searching for the boundary of the target", 0, 1)
    name = probe.attack if probe.attack in question.wanted else _CALIBRATED
    distances = probe.search(question.target(name), pool, question.space, question.seed)
    budgets = tuple(b for b in distances.budgets if b <= probe.n_queries)
    how = f"L2 in the units of the inputs, by {_name_of(probe.estimator)}, at most {probe.n_queries:,} queries"
    if probe.attack in question.wanted:
        attack = question.wanted[probe.attack]
        found.scores[probe.attack] = _scored(attack, _unsigned(distances))
        if source is not None:
            found.shadow_scores[probe.attack] = _scored(attack, _unsigned(source))
        found.n_queries[probe.attack] = probe.n_queries
        at_budgets = np.where(distances.correct[:, None], distances.trace[:, : len(budgets)], 0.0)
        columns = [_scored(attack, column) for column in at_budgets.T]
        if columns:
            found.by_budget[probe.attack] = (budgets, np.stack(columns, axis=1))
        found.definitions[probe.attack] = how
        _note_robust(found, probe.attack, distances.robust, "as the farthest")
    if asked_about is not None and source is not None:
        compared = _Compared(question.wanted[_CALIBRATED], asked_about, references)
        found.scores[_CALIBRATED] = compared.score(distances)
        found.shadow_scores[_CALIBRATED] = compared.score(source)
        found.n_queries[_CALIBRATED] = probe.n_queries
        if budgets:
            columns = [compared.score(distances, place) for place in range(len(budgets))]
            found.by_budget[_CALIBRATED] = (budgets, np.stack(columns, axis=1))
        n_each = asked_about.sum(axis=0)
        n_words = f"{n_each.min()}" if n_each.min() == n_each.max() else f"{n_each.min()} to {n_each.max()}"
        models = "shadow model" if n_words == "1" else "shadow models"
        found.definitions[_CALIBRATED] = (
            f"{how}; minus where the model is wrong; less the mean over {n_words} {models} not trained on the "
            f"record, searched with the same random numbers; {_FARTHEST}"
        )
        _note_robust(found, _CALIBRATED, distances.robust, "as far as the farthest that was left")


def references_of_records(shadows: ShadowLabels, n_references: int) -> Bool[np.ndarray, "model record"] | None:
    """Return which shadow models stand for those that never saw a record: the first so many it was left out of.

    The first model and its partner are none of them. Of pairs, each record was left out of one of each.

    Args:
        shadows: The models.
        n_references: Models for each record, fewer if there are no more.

    Returns:
        Which records each model is asked about; None if some record was left out of none of them.

    Example:
        >>> member = np.array([[1, 0], [0, 1], [1, 1], [0, 0], [1, 0], [0, 1]]).astype(bool)
        >>> references_of_records(ShadowLabels(member, None, lambda: iter(())), 1).astype(int)
        array([[0, 0],
               [0, 0],
               [0, 0],
               [1, 1],
               [0, 0],
               [0, 0]])
    """
    asked_about = np.zeros_like(shadows.member, dtype=bool)
    for number in np.flatnonzero(remaining(shadows.member, shadows.groups, 0)):
        asked_about[number] = ~shadows.member[number] & (asked_about.sum(axis=0) < n_references)
    return asked_about if asked_about.any(axis=0).all() else None


def combined_search(found: LabelScores, probe: CombinedDistances, question: LabelQuestion) -> None:
    """Play the attack by the distances of a record's shifted copies, standardised by the first shadow model."""
    attack = question.wanted[probe.attack]
    source = None
    for _, model in _first(question.shadows):
        question.progress("searching for the boundary around copies, of a shadow model", 0, 1)
        source = probe.search(model, question.pool, question.space, question.seed)
    question.progress("searching for the boundary around copies, of the target", 0, 1)
    distances = probe.search(question.target(probe.attack), question.pool, question.space, question.seed)
    standard = distances if source is None else source
    found.scores[probe.attack] = _scored(attack, distances, source_copy_distances=standard)
    if source is not None:
        found.shadow_scores[probe.attack] = _scored(attack, source, source_copy_distances=source)
    found.n_queries[probe.attack] = probe.n_queries_of_record
    by = "the target itself, for want of shadow models" if source is None else "the first shadow model"
    found.definitions[probe.attack] = (
        f"mean over {distances.shape[1]} copies, shifted by {probe.distance} pixels or none, of L2 distances "
        f"standardised by {by}; by {_name_of(probe.estimator)}, at most {probe.n_queries:,} queries a copy; "
        f"{_FARTHEST}; a threshold in place of the paper's network"
    )
    _note_robust(found, probe.attack, np.isinf(distances).any(axis=1), "as far as the farthest that was left")


def settled_search(found: LabelScores, probe: SettledSearch, question: LabelQuestion) -> None:
    """Play the attack by distance, ended for each record as soon as its side of a threshold stands.

    The first shadow model is searched to the end; its strict threshold is the one.
    """
    source = None
    for _, model in _first(question.shadows):
        question.progress("searching for the boundary of a shadow model, to the end", 0, 1)
        source = probe.search_source(model, question.pool, question.space, question.seed)
    if source is None or question.shadows is None:
        found.not_run.append(NotRun(probe.attack, "a shadow model, whose threshold says when a search may end"))
        return
    attack = question.wanted[probe.attack]
    of_source = _scored(attack, source.distances)
    threshold = choose_on_source([of_source], question.shadows.member[0]).threshold
    question.progress("searching for the boundary of the target, until settled", 0, 1)
    target, rule = question.target(probe.attack), settlement(source, threshold)
    distances = probe.search(target, question.pool, question.space, question.seed, rule)
    found.scores[probe.attack] = _scored(attack, distances.distances)
    found.shadow_scores[probe.attack] = of_source
    found.n_queries[probe.attack] = int(distances.n_queries.max())
    found.definitions[probe.attack] = (
        f"L2 distance by {_name_of(probe.estimator)}, at most {probe.n_queries:,} queries, ended once a record's side "
        f"of {threshold:.4g}, the strict threshold of the first shadow model, stands (1 % of all may be missed); "
        "shadow_strict is what counts: scores elsewhere than at that threshold, such as AUC and the TPR at an FPR, are "
        "not comparable with those of a search to the end"
    )
    if question.pool.subjects is not None:
        found.definitions[probe.attack] += "; a person's mean is of such distances, and may fall on the other side"
    n, n_early = question.pool.n_records, int(distances.settled.sum())
    message = (
        f"The settled search asked {distances.n_queries.mean():,.0f} queries a record on average, of at most "
        f"{probe.n_queries:,}, and ended {n_early:,} of {n:,} records early."
    )
    found.checks.append(Check("settled_search", Validity.VALID, message))


class _Compared:
    """Distances less those of references."""

    def __init__(
        self, attack: Attack, asked_about: np.ndarray, references: list[tuple[np.ndarray, BoundaryDistances]]
    ) -> None:
        self._attack = attack
        self._left_out = ~asked_about[asked_about.any(axis=1)]
        self._references = references

    def score(self, distances: BoundaryDistances, place: int | None = None) -> np.ndarray:
        """Score what was found in the end, or at a budget."""
        theirs = np.zeros(self._left_out.shape)
        for row, (records, found) in zip(theirs, self._references, strict=True):
            row[records] = finite_distances(_at(found, place))
        own = finite_distances(_at(distances, place))
        return _scored(self._attack, own, shadow_signed_distances=theirs, is_in=self._left_out)


def _at(found: BoundaryDistances, place: int | None) -> np.ndarray:
    return found.distances if place is None else found.trace[:, place]


def _first(shadows: ShadowLabels | None, *, everyone: bool = False) -> Iterator[tuple[int, LabelTarget]]:
    """The first shadow model, or all; each is open until the next is asked for."""
    if shadows is not None:
        for number, model in enumerate(shadows.targets()):
            yield number, model
            if not everyone:
                return


def _scored(attack: Attack, distances: np.ndarray, **of_models: np.ndarray) -> np.ndarray:
    """Scores of an attack, whose first signal the distances are."""
    return attack.play({attack.reads[0]: distances, **of_models})


def _unsigned(found: BoundaryDistances) -> np.ndarray:
    return np.where(found.correct, found.distances, 0.0)


def _name_of(estimator: Any) -> str:
    return str(getattr(estimator, "__name__", "own estimator"))


def _note_robust(found: LabelScores, attack: str, robust: np.ndarray, as_what: str) -> None:
    if robust.any():
        message = (
            f"For {int(robust.sum()):,} of {robust.size:,} records no input of another class was found: {attack} "
            f"counts them {as_what}."
        )
        found.checks.append(Check("boundary_not_found", Validity.VALID, message))
