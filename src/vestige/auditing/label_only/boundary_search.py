"""Distances to the decision boundary: Choquette-Choo et al. 2021, section 3.4; calibrated as Watson et al. 2022."""

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool

from vestige.attacks._finite_distances import finite_distances
from vestige.auditing.label_only.probe import Probe, score
from vestige.auditing.label_only.question import LabelQuestion, LabelResults, ShadowLabels
from vestige.auditing.label_only.searches import (
    FARTHEST,
    Estimator,
    Rows,
    name_of,
    not_found,
    refuse_no_start,
    searched,
)
from vestige.auditing.played import Played, PlayedAttacks
from vestige.auditing.references.phi import remaining
from vestige.core.attack import Attack
from vestige.core.errors import InputError
from vestige.core.inputs import InputSpace
from vestige.core.records import Records
from vestige.core.result import NotRun
from vestige.core.targets import LabelTarget
from vestige.signals.boundary import BoundaryDistances, surfree

BOUNDARY, CALIBRATED = "boundary_distance", "calibrated_boundary_distance"
_COUNTED_AS = {BOUNDARY: "as the farthest", CALIBRATED: "as far as the farthest that was left"}


@dataclass(frozen=True)
class BoundarySearch(Probe):
    """The way from every record to the nearest input that the model decides otherwise about.

    Attributes:
        n_queries: Queries about each record at most.
        estimator: `surfree`, or `hop_skip_jump`, from `vestige.signals.boundary`.
        n_references: Shadow models that were not trained on a record, and that its distance is compared with besides:
            `calibrated_boundary_distance`. 0 for no such comparison.

    Raises:
        InputError: Fewer than 0 references.

    Example:
        >>> BoundarySearch(n_queries=500).attacks
        ('boundary_distance',)
    """

    n_queries: int = 1_000
    estimator: Estimator = surfree
    n_references: int = 0

    def __post_init__(self) -> None:
        if self.n_references < 0:
            raise InputError(f"Expected 0 or more references of each record, found {self.n_references}; 1 is usual.")

    @property
    def attacks(self) -> tuple[str, ...]:
        """`boundary_distance`, and the attack that compares with references, if there are to be any."""
        return (BOUNDARY, CALIBRATED) if self.n_references else (BOUNDARY,)

    def n_queries_of(self, pool: Records, space: InputSpace, wanted: Collection[str]) -> int:
        """Return `n_queries`, whatever is made of the distances."""
        refuse_no_start(self.estimator, self.n_queries, pool, space)
        return self.n_queries

    def play(self, question: LabelQuestion) -> LabelResults:
        """Play the attack by distance, and the one that compares it with models that never saw the record, if wanted.

        One search of the target serves both: signed distances with those of records it is wrong about at 0 are the
        others. The references are the same for the target and for the first shadow model, on which thresholds are set;
        neither that model nor its partner is one of them.
        """
        asked_about, not_run = self._references(question)
        if asked_about is None and BOUNDARY not in question.wanted:
            return LabelResults(attacks=PlayedAttacks(not_run=not_run))
        probe = self if asked_about is not None else replace(self, n_references=0)
        source, references = probe._search_shadows(question, asked_about)
        question.progress("searching for the boundary of the target", 0, 1)
        name = BOUNDARY if BOUNDARY in question.wanted else CALIBRATED
        distances = probe.search(question.target(name), question.pool, question.space, question.seed)
        found = []
        if BOUNDARY in question.wanted:
            found.append(self._plain(question, distances, source))
        if asked_about is not None and source is not None:
            compared = _Compared(question.wanted[CALIBRATED], asked_about, references)
            found.append(self._calibrated(compared, distances, source))
        checks = [
            check
            for one in found
            for check in not_found(one.attack.name, distances.robust, _COUNTED_AS[one.attack.name])
        ]
        return LabelResults(attacks=PlayedAttacks(played=tuple(found), not_run=not_run, checks=tuple(checks)))

    def search(
        self, target: LabelTarget, pool: Records, space: InputSpace, seed: int, rows: Rows | None = None
    ) -> BoundaryDistances:
        """Search from records; other records are where a search starts if noise finds no other class.

        Args:
            target: What answers.
            pool: All records.
            space: What inputs may be.
            seed: Of directions.
            rows: From which of them; all if omitted.

        Returns:
            The distances, signed if they are to be compared with references.

        Raises:
            InputError: The inputs are no array of numbers.
        """
        options = {"signed": True} if self.n_references else {}  # an custom estimator need not know the word
        return searched(self.estimator, self.n_queries, target, pool, space, seed, rows, **options)

    def _references(self, question: LabelQuestion) -> tuple[np.ndarray | None, tuple[NotRun, ...]]:
        """Which records each shadow model is asked about as a reference, if distances are to be compared."""
        if CALIBRATED not in question.wanted:
            return None, ()
        shadows = question.shadows
        asked_about = None if shadows is None else references_of_records(shadows, self.n_references)
        needs = "shadow models, beside the first and its partner, one of them not trained on each record"
        return asked_about, () if asked_about is not None else (NotRun(CALIBRATED, needs),)

    def _search_shadows(
        self, question: LabelQuestion, asked_about: np.ndarray | None
    ) -> tuple[BoundaryDistances | None, list[tuple[np.ndarray, BoundaryDistances]]]:
        """The first shadow model's distances, and those of references from the records they are asked about."""
        source: BoundaryDistances | None = None
        references: list[tuple[np.ndarray, BoundaryDistances]] = []
        shadows, space, seed = question.shadows, question.space, question.seed
        if shadows is None:
            return None, []
        for number, model in shadows.first(1 if asked_about is None else len(shadows.member)):
            if number == 0:
                question.progress("searching for the boundary of a shadow model", 0, 1)
                source = self.search(model, question.shadow_pool, space, seed)
            elif asked_about is not None and asked_about[number].any():
                question.progress("searching for the boundary of references", number, len(asked_about))
                rows = np.flatnonzero(asked_about[number])
                references.append((rows, self.search(model, question.pool, space, seed, rows)))
        return source, references

    def _plain(self, question: LabelQuestion, distances: BoundaryDistances, source: BoundaryDistances | None) -> Played:
        attack = question.wanted[BOUNDARY]
        budgets = self._budgets(distances)
        at = [
            score(attack, np.where(distances.correct, distances.trace[:, place], 0.0)) for place in range(len(budgets))
        ]
        return Played(
            attack=attack,
            scores=score(attack, _unsigned(distances)),
            known_scores=None if source is None else score(attack, _unsigned(source)),
            n_queries=self.n_queries,
            definition=self._how(),
            by_budget=(budgets, np.stack(at, axis=1)) if at else None,
        )

    def _calibrated(self, compared: "_Compared", distances: BoundaryDistances, source: BoundaryDistances) -> Played:
        budgets = self._budgets(distances)
        at = [compared.score(distances, place) for place in range(len(budgets))]
        return Played(
            attack=compared.attack,
            scores=compared.score(distances),
            known_scores=compared.score(source),
            n_queries=self.n_queries,
            definition=f"{self._how()}; minus where the model is wrong; less the mean over {compared.models} not "
            f"trained on the record, searched with the same random numbers; {FARTHEST}",
            by_budget=(budgets, np.stack(at, axis=1)) if at else None,
        )

    def _budgets(self, distances: BoundaryDistances) -> tuple[int, ...]:
        return tuple(budget for budget in distances.budgets if budget <= self.n_queries)

    def _how(self) -> str:
        return f"L2 in the units of the inputs, by {name_of(self.estimator)}, at most {self.n_queries:,} queries"


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


class _Compared:
    """Distances less those of references."""

    def __init__(
        self, attack: Attack, asked_about: np.ndarray, references: list[tuple[np.ndarray, BoundaryDistances]]
    ) -> None:
        self.attack = attack
        self._left_out = ~asked_about[asked_about.any(axis=1)]
        self._references = references
        n_each = asked_about.sum(axis=0)
        n_words = f"{n_each.min()}" if n_each.min() == n_each.max() else f"{n_each.min()} to {n_each.max()}"
        self.models = f"{n_words} shadow {'model' if n_words == '1' else 'models'}"

    def score(self, distances: BoundaryDistances, place: int | None = None) -> np.ndarray:
        """Score what was found in the end, or at a budget."""
        theirs = np.zeros(self._left_out.shape)
        for row, (records, found) in zip(theirs, self._references, strict=True):
            row[records] = finite_distances(_at(found, place))
        own = finite_distances(_at(distances, place))
        return score(self.attack, own, shadow_signed_distances=theirs, is_in=self._left_out)


def _at(found: BoundaryDistances, place: int | None) -> np.ndarray:
    return found.distances if place is None else found.trace[:, place]


def _unsigned(found: BoundaryDistances) -> np.ndarray:
    return np.where(found.correct, found.distances, 0.0)
