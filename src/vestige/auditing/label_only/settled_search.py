"""Boundary distances that end as soon as a verdict stands: Choquette-Choo et al. 2021, section 3.4; the end is ours."""

from dataclasses import dataclass

import numpy as np

from vestige.attacks import named
from vestige.auditing.label_only.likelihood import SCALE, TOO_FEW, allows_ratio, normal_scale, played_ratio
from vestige.auditing.label_only.probe import RATIO, score
from vestige.auditing.label_only.question import LabelQuestion, LabelResults
from vestige.auditing.label_only.searches import FARTHEST, Search, name_of
from vestige.auditing.played import Played, PlayedAttacks
from vestige.core.records import Records
from vestige.core.result import Check, NotRun, Validity
from vestige.evaluation.strength import choose_on_source
from vestige.signals.boundary import BUDGETS, CHECKPOINTS, settlement

SETTLED = "settled_boundary_distance"


@dataclass(frozen=True)
class SettledSearch(Search):
    """The way to the boundary, ended for each record as soon as its side of a shadow model's threshold stands.

    Attributes:
        n_queries: Queries about each record at most; most need far fewer.
        estimator: As of `BoundarySearch`.
        likelihood_ratio: Whether all shadow models are searched in the same way, ended by the same rule, so that
            `label_only_likelihood_ratio` can read the distances.

    Example:
        >>> SettledSearch(n_queries=500).attacks
        ('settled_boundary_distance',)
    """

    likelihood_ratio: bool = False

    @property
    def attacks(self) -> tuple[str, ...]:
        """`settled_boundary_distance`, and the likelihood ratio of its distances, if there is to be one."""
        return (SETTLED, RATIO) if self.likelihood_ratio else (SETTLED,)

    def play(self, question: LabelQuestion) -> LabelResults:
        """Play the attack by distance, ended for each record as soon as its side of a threshold stands.

        The first shadow model is searched to the end; its strict threshold is the one.
        """
        wanted, pool, shadows = question.wanted, question.pool, question.trained_on_halves
        budgets = tuple(n for n in sorted({*CHECKPOINTS, *BUDGETS}) if n < self.n_queries) or (self.n_queries,)
        source = question.of_source(
            lambda model: self.search(question.about_shadows, model, budgets=budgets),
            "searching for the boundary of a shadow model, to the end",
        )  # noted wherever a rule may be fitted
        ratio = RATIO in wanted and allows_ratio(shadows)
        needs = "a shadow model, whose threshold says when a search may end"
        not_run = (
            *((NotRun(SETTLED, needs),) if SETTLED in wanted and source is None else ()),
            *((TOO_FEW,) if RATIO in wanted and not ratio else ()),
        )
        names = [name for name in self.attacks if name in wanted and name not in {left.attack for left in not_run}]
        if not names or source is None or shadows is None:
            return LabelResults(attacks=PlayedAttacks(not_run=not_run))
        of_source = score(named(SETTLED), source.distances)
        threshold = choose_on_source([of_source], shadows.member[0]).threshold
        rule = settlement(source, threshold)
        question.progress("searching for the boundary of the target, until settled", 0, 1)
        distances = self.search(question, question.target(names[0]), settled=rule)
        how, most = self._how(threshold, pool), int(distances.n_queries.max())
        played = []
        if SETTLED in names:
            scores = score(wanted[SETTLED], distances.distances)
            played.append(
                Played(attack=wanted[SETTLED], scores=scores, known_scores=of_source, n_queries=most, definition=how)
            )
        if ratio:
            theirs = np.empty((len(shadows.member), pool.n_records))
            for number, model in shadows.first(len(theirs)):
                question.progress("searching for the boundary of shadow models, until settled", number, len(theirs))
                theirs[number] = self.search(question, model, settled=rule).distances
            signals = normal_scale(distances.distances, theirs)
            definition = f"{how}; all models searched so; {SCALE}, 0 where the model is wrong; {FARTHEST}"
            played.append(played_ratio(question, *signals, n_queries=most, definition=definition))
        n, n_early = pool.n_records, int(distances.settled.sum())
        message = (
            f"The settled search asked {distances.n_queries.mean():,.0f} queries a record on average, of at most "
            f"{self.n_queries:,}, and ended {n_early:,} of {n:,} records early."
        )
        check = Check("settled_search", Validity.VALID, message)
        return LabelResults(attacks=PlayedAttacks(played=tuple(played), not_run=not_run, checks=(check,)))

    def _how(self, threshold: float, pool: Records) -> str:
        how = (
            f"L2 distance by {name_of(self.estimator)}, at most {self.n_queries:,} queries, ended once a record's side "
            f"of {threshold:.4g}, the strict threshold of the first shadow model, stands (1 % of all may be missed); "
            "shadow_strict is what counts: scores elsewhere than at that threshold, such as AUC and the TPR at an FPR, "
            "are not comparable with those of a search to the end"
        )
        of_people = "; a person's mean is of such distances, and may fall on the other side"
        return how if pool.subjects is None else how + of_people
