"""Distances to the decision boundary: Choquette-Choo et al. 2021, section 3.4; calibrated as Watson et al. 2022."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool

from vestige.attacks._finite_distances import finite_distances
from vestige.auditing.label_only.likelihood import (
    SCALE,
    TOO_FEW,
    allows_ratio,
    normal_scale,
    played_ratio,
    ratio_scores,
)
from vestige.auditing.label_only.probe import RATIO, score
from vestige.auditing.label_only.question import LabelQuestion, LabelResults, ShadowLabels
from vestige.auditing.label_only.searches import BOUNDARY, FARTHEST, Rows, Search, name_of, not_found
from vestige.auditing.played import Played, PlayedAttacks
from vestige.core.attack import Attack
from vestige.core.drawn_together import remaining
from vestige.core.errors import InputError
from vestige.core.result import NotRun
from vestige.signals.boundary import BoundaryDistances

CALIBRATED = "calibrated_boundary_distance"
_SIGNED = {"signed": True}  # given only where it is wanted: a custom estimator need not know the word

Scored = Callable[[Attack, BoundaryDistances, int | None], np.ndarray]
"""From an attack, one model's distances and the place of a budget, None for all queries, to scores."""

_NO_REFERENCE = (
    "shadow models, beside the first and its partner, one of them not trained on each record, or references whose "
    "models are kept"
)


@dataclass(frozen=True)
class BoundarySearch(Search):
    """The way from every record to the nearest input that the model decides otherwise about.

    Attributes:
        n_queries: Queries about each record at most.
        estimator: `surfree`, or `hop_skip_jump`, from `vestige.signals.boundary`.
        n_references: Models that were not trained on a record, and that its distance is compared with besides:
            `calibrated_boundary_distance`. They are shadow models, or references whose models are kept
            (`references_by_forgetting`, `references_from_scratch`). 0 for no such comparison.
        likelihood_ratio: Whether all shadow models are searched from all records, so that `label_only_likelihood_ratio`
            can read the distances. The target is asked no more for it than `n_queries` a record.

    Raises:
        InputError: Fewer than 0 references.

    Example:
        >>> BoundarySearch(n_queries=500).attacks
        ('boundary_distance',)
    """

    n_references: int = 0
    likelihood_ratio: bool = False

    def __post_init__(self) -> None:
        if self.n_references < 0:
            raise InputError(f"Expected 0 or more references of each record, found {self.n_references}; 1 is usual.")

    @property
    def attacks(self) -> tuple[str, ...]:
        """`boundary_distance`, and the attacks that compare with other models' distances, if there are to be any."""
        return (BOUNDARY, *((CALIBRATED,) if self.n_references else ()), *((RATIO,) if self.likelihood_ratio else ()))

    def play(self, question: LabelQuestion) -> LabelResults:
        """Play the attack by distance, and those that compare it with other models' distances, if wanted.

        One search of the target serves all: signed distances with those of records it is wrong about at 0 are those of
        the plain attack. The references are the same for the target and for the first shadow model, on which thresholds
        are set; neither that model nor its partner is one of them.
        """
        wanted, shadows = question.wanted, question.shadows
        references = None
        if CALIBRATED in wanted and shadows is not None:
            references = references_of_records(shadows, self.n_references)
        ratio = RATIO in wanted and allows_ratio(question.trained_on_halves)
        not_run = (
            *((NotRun(CALIBRATED, _NO_REFERENCE),) if CALIBRATED in wanted and references is None else ()),
            *((TOO_FEW,) if RATIO in wanted and not ratio else ()),
        )
        names = [name for name in self.attacks if name in wanted and name not in {left.attack for left in not_run}]
        if not names:
            return LabelResults(attacks=PlayedAttacks(not_run=not_run))
        options = _SIGNED if references is not None or ratio else {}
        theirs = self._search_shadows(question, references, ratio=ratio)
        question.progress("searching for the boundary of the target", 0, 1)
        distances = self.search(question, question.target(names[0]), None, **options)
        source = None if question.trained_on_halves is None else theirs[0][1]
        played = []
        if BOUNDARY in names:
            played.append(self._played(wanted[BOUNDARY], _plain, distances, source, self._how()))
        if references is not None:
            compared, models = _compared(question, references, theirs)
            how = (
                f"{self._how()}; minus where the model is wrong; less the mean over {models} not trained on the "
                f"record, searched with the same random numbers; {FARTHEST}"
            )
            played.append(self._played(wanted[CALIBRATED], compared, distances, source, how))
        if ratio:
            played.append(self._ratio(question, distances, [of_model for _, of_model in theirs.values()]))
        checks = tuple(check for one in played for check in not_found(one.attack.name, distances.robust))
        return LabelResults(attacks=PlayedAttacks(played=tuple(played), not_run=not_run, checks=checks))

    def _search_shadows(
        self, question: LabelQuestion, references: np.ndarray | None, *, ratio: bool
    ) -> dict[int, tuple[Rows, BoundaryDistances]]:
        """Distances of the adversary's models by their numbers, each with the records that it was searched from."""
        shadows = question.shadows
        if shadows is None:
            return {}
        about = question.about_shadows
        every = np.arange(about.pool.n_records)
        options = _SIGNED if ratio or references is not None else {}
        theirs: dict[int, tuple[Rows, BoundaryDistances]] = {}
        for number, model in shadows.first(len(shadows.member) if options else 1):
            is_source = number == 0 and shadows.has_source
            rows = every if ratio or is_source else np.empty(0, dtype=np.int64)
            if references is not None and not rows.size:
                rows = np.flatnonzero(references[number])
            if rows.size:
                whose = "a shadow model" if is_source else "other models"
                question.progress(f"searching for the boundary of {whose}", number, len(shadows.member))
                distances = self.search(about, model, rows, **options)
                # Without the inputs: those of all models together would be much.
                theirs[number] = rows, replace(distances, nearest=distances.nearest[:0])
        return theirs

    def _ratio(self, question: LabelQuestion, distances: BoundaryDistances, theirs: list[BoundaryDistances]) -> Played:
        """The likelihood ratio of the distances found in the end, and of those at every budget."""

        def signals(place: int | None) -> tuple[np.ndarray, np.ndarray]:
            return normal_scale(_at(distances, place), np.stack([_at(of_model, place) for of_model in theirs]))

        def scored(_: Attack, __: BoundaryDistances, place: int | None) -> np.ndarray:
            assert question.shadows is not None
            return ratio_scores(question, *signals(place), question.shadows.member)

        how = f"{self._how()}; {SCALE}; {FARTHEST}"
        played = played_ratio(question, *signals(None), n_queries=self.n_queries, definition=how)
        return replace(self._played(played.attack, scored, distances, None, how), known_scores=played.known_scores)

    def _played(
        self, attack: Attack, scored: Scored, distances: BoundaryDistances, source: BoundaryDistances | None, how: str
    ) -> Played:
        """An attack on the distances found in the end, and on those at every budget."""
        budgets = tuple(budget for budget in distances.budgets if budget <= self.n_queries)
        at = [scored(attack, distances, place) for place in range(len(budgets))]
        return Played(
            attack=attack,
            scores=scored(attack, distances, None),
            known_scores=None if source is None else scored(attack, source, None),
            n_queries=self.n_queries,
            definition=how,
            by_budget=(budgets, np.stack(at, axis=1)) if at else None,
        )

    def _how(self) -> str:
        return f"L2 in the units of the inputs, by {name_of(self.estimator)}, at most {self.n_queries:,} queries"


def references_of_records(shadows: ShadowLabels, n_references: int) -> Bool[np.ndarray, "model record"] | None:
    """Return which shadow models stand for those that never saw a record: the first so many it was left out of.

    The first model, if thresholds are set on it, and its partner are none of them. Of pairs, each record was left out
    of one of each.

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
    others = remaining(shadows.member, shadows.groups, 0) if shadows.has_source else np.ones(len(asked_about), bool)
    for number in np.flatnonzero(others):
        asked_about[number] = ~shadows.member[number] & (asked_about.sum(axis=0) < n_references)
    return asked_about if asked_about.any(axis=0).all() else None


def _compared(
    question: LabelQuestion, references: np.ndarray, theirs: dict[int, tuple[Rows, BoundaryDistances]]
) -> tuple[Scored, str]:
    """How distances less those of references are scored, and which references these are, in words.

    Args:
        question: Of the audit.
        references: Which records each model is a reference of.
        theirs: What was found from the records that each was searched from.
    """
    numbers = np.flatnonzero(references.any(axis=1)).tolist()

    def scored(attack: Attack, distances: BoundaryDistances, place: int | None) -> np.ndarray:
        signed = np.zeros((len(numbers), references.shape[1]))
        for row, number in zip(signed, numbers, strict=True):
            rows, distances_of_model = theirs[number]
            used = references[number, rows]  # what counts as the farthest is told by these records alone
            row[rows[used]] = finite_distances(_at(distances_of_model, place)[used])
        own = finite_distances(_at(distances, place))
        return score(attack, own, shadow_signed_distances=signed, is_in=~references[numbers])

    n_each = references.sum(axis=0)
    fewest, most = int(n_each.min()), int(n_each.max())
    kind = "reference" if question.trained_on_halves is None else "shadow"
    trained = "" if not question.shadows or not question.shadows.training else f" ({question.shadows.training})"
    n_models = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    return scored, f"{n_models} {kind} model{'' if most == 1 else 's'}{trained}"


def _plain(attack: Attack, distances: BoundaryDistances, place: int | None) -> np.ndarray:
    """Scores of distances, 0 where the model is wrong about the record itself."""
    return score(attack, np.where(distances.correct, _at(distances, place), 0.0))


def _at(distances: BoundaryDistances, place: int | None) -> np.ndarray:
    """The distances in the end, or at a budget."""
    return distances.distances if place is None else distances.trace[:, place]
