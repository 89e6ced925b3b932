"""Boundary distances that end as soon as a verdict stands: Choquette-Choo et al. 2021, section 3.4; the end is ours."""

from collections.abc import Collection
from dataclasses import dataclass

from vestige.auditing.label_only.probe import Probe, score
from vestige.auditing.label_only.question import LabelQuestion, LabelResults
from vestige.auditing.label_only.searches import Estimator, name_of, refuse_no_start, searched
from vestige.auditing.played import Played, PlayedAttacks
from vestige.core.inputs import InputSpace
from vestige.core.records import Records
from vestige.core.result import Check, NotRun, Validity
from vestige.core.targets import LabelTarget
from vestige.evaluation.strength import choose_on_source
from vestige.signals.boundary import BUDGETS, CHECKPOINTS, BoundaryDistances, Settled, settlement, surfree


@dataclass(frozen=True)
class SettledSearch(Probe):
    """The way to the boundary, ended for each record as soon as its side of a shadow model's threshold stands.

    Attributes:
        n_queries: Queries about each record at most; most need far fewer.
        estimator: As of `BoundarySearch`.

    Example:
        >>> SettledSearch(n_queries=500).attacks
        ('settled_boundary_distance',)
    """

    n_queries: int = 1_000
    estimator: Estimator = surfree

    @property
    def attacks(self) -> tuple[str, ...]:
        """`settled_boundary_distance`."""
        return ("settled_boundary_distance",)

    def n_queries_of(self, pool: Records, space: InputSpace, wanted: Collection[str]) -> int:
        """Return `n_queries`."""
        refuse_no_start(self.estimator, self.n_queries, pool, space)
        return self.n_queries

    def play(self, question: LabelQuestion) -> LabelResults:
        """Play the attack by distance, ended for each record as soon as its side of a threshold stands.

        The first shadow model is searched to the end; its strict threshold is the one.
        """
        [attack] = question.wanted.values()
        source = None
        for _, model in () if question.shadows is None else question.shadows.first():
            question.progress("searching for the boundary of a shadow model, to the end", 0, 1)
            source = self.search_source(model, question.shadow_pool, question.space, question.seed)
        if source is None or question.shadows is None:
            needs = "a shadow model, whose threshold says when a search may end"
            return LabelResults(attacks=PlayedAttacks(not_run=(NotRun(attack.name, needs),)))
        of_source = score(attack, source.distances)
        threshold = choose_on_source([of_source], question.shadows.member[0]).threshold
        question.progress("searching for the boundary of the target, until settled", 0, 1)
        target, rule = question.target(attack.name), settlement(source, threshold)
        distances = self.search(target, question.pool, question.space, question.seed, rule)
        played = Played(
            attack=attack,
            scores=score(attack, distances.distances),
            known_scores=of_source,
            n_queries=int(distances.n_queries.max()),
            definition=self._how(threshold, question.pool),
        )
        n, n_early = question.pool.n_records, int(distances.settled.sum())
        message = (
            f"The settled search asked {distances.n_queries.mean():,.0f} queries a record on average, of at most "
            f"{self.n_queries:,}, and ended {n_early:,} of {n:,} records early."
        )
        check = Check("settled_search", Validity.VALID, message)
        return LabelResults(attacks=PlayedAttacks(played=(played,), checks=(check,)))

    def _how(self, threshold: float, pool: Records) -> str:
        how = (
            f"L2 distance by {name_of(self.estimator)}, at most {self.n_queries:,} queries, ended once a record's side "
            f"of {threshold:.4g}, the strict threshold of the first shadow model, stands (1 % of all may be missed); "
            "shadow_strict is what counts: scores elsewhere than at that threshold, such as AUC and the TPR at an FPR, "
            "are not comparable with those of a search to the end"
        )
        of_people = "; a person's mean is of such distances, and may fall on the other side"
        return how if pool.subjects is None else how + of_people

    def search_source(self, source: LabelTarget, pool: Records, space: InputSpace, seed: int) -> BoundaryDistances:
        """Search to the end of the budget, noted wherever a rule may be fitted.

        Raises:
            InputError: The inputs are no array of numbers.
        """
        budgets = tuple(n for n in sorted({*CHECKPOINTS, *BUDGETS}) if n < self.n_queries) or (self.n_queries,)
        return searched(self.estimator, self.n_queries, source, pool, space, seed, budgets=budgets)

    def search(
        self, target: LabelTarget, pool: Records, space: InputSpace, seed: int, settled: Settled
    ) -> BoundaryDistances:
        """Search until records are settled.

        Raises:
            InputError: The inputs are no array of numbers.
        """
        return searched(self.estimator, self.n_queries, target, pool, space, seed, settled=settled)
