"""Probes that ask about copies of every record: a strength is chosen on shadow models, then the target is asked."""

from abc import abstractmethod
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Bool

from vestige.attacks import named
from vestige.auditing.label_only.imitated import WITHOUT_IMITATORS, Tally, played_with_imitators
from vestige.auditing.label_only.likelihood import (
    TOO_FEW,
    TOO_FEW_TO_LEARN,
    allows_ratio,
    played_learnt,
    played_ratio,
    ratio_scores,
)
from vestige.auditing.label_only.probe import FEWEST, IMITATED, LEARNT, Probe, score
from vestige.auditing.label_only.question import LabelQuestion, LabelResults, ShadowLabels
from vestige.auditing.played import Played, PlayedAttacks, together
from vestige.auditing.references.scores import partners_of
from vestige.auditing.scoring.learnt_scores import Copies
from vestige.core.errors import InputError
from vestige.core.inputs import InputSpace
from vestige.core.records import Records
from vestige.core.targets import LabelTarget
from vestige.evaluation.strength import choose_on_shadows, choose_on_source
from vestige.signals.label_only.agreement import agreement, prefix_counts

_RATIOS = {TOO_FEW: played_ratio, TOO_FEW_TO_LEARN: played_learnt}
_DRAWS = (10, 25, 50, 100, 250, 500, 1_000)  # queries at which the attack is looked at


class CopiesOfRecords(Probe):
    """A kind of copies. The first of its attacks counts them; others learn from them or compare models by them."""

    @abstractmethod
    def strengths(self, pool: Records, space: InputSpace) -> tuple[Any, ...]:
        """Return the strengths to choose from, the weakest first."""

    def also_strengths(self, pool: Records, space: InputSpace) -> tuple[Any, ...]:
        """Return further strengths that the ratios may take where the learnt ratio is played."""
        return ()

    @abstractmethod
    def n_queries(self, strength: Any) -> int:
        """Return queries per record."""

    @abstractmethod
    def ask(
        self, target: LabelTarget, pool: Records, space: InputSpace, strength: Any, seed: int
    ) -> Bool[np.ndarray, "record copy"]:
        """Return whether each copy of each record gets the record's class."""

    def after_fewer(self, correct: np.ndarray, right: np.ndarray) -> tuple[tuple[int, ...], np.ndarray] | None:
        """Return numbers of copies and scores of its custom attack after as many; None if copies have no order."""

    def n_queries_of(self, pool: Records, space: InputSpace, wanted: Collection[str]) -> int:
        """Return as many copies as the strength with the most has; as many again at another strength for the ratio."""
        most = max(self.n_queries(strength) for strength in self.strengths(pool, space))
        return most * ((not FEWEST.keys().isdisjoint(wanted)) + bool(set(wanted) - set(FEWEST)))

    def play(self, question: LabelQuestion) -> LabelResults:
        """Play the attacks on copies.

        Strength and threshold are chosen together on the first shadow model, as Choquette-Choo et al. do on their
        source model; for the likelihood ratio on all of them in turn. The target is asked at these strengths only, and
        its members are not looked at. Without shadow models the middle strength is taken.
        """
        strengths = self.strengths(question.pool, question.space)
        shadows = question.trained_on_halves
        ratio = allows_ratio(shadows, question.wanted)
        learns = any(name in question.wanted and allows_ratio(shadows, (name,)) for name in (LEARNT, IMITATED))
        every = (*strengths, *(self.also_strengths(question.pool, question.space) if learns else ()))
        of_source, agreements = self._asked_shadows(every, question, ratio=ratio)

        tallies: dict[int, Tally] = {}

        def asked(place: int, attack: str) -> np.ndarray:
            question.progress(f"asking the target: {attack.replace('_', ' ')}", 0, 1)
            target = question.target(attack)
            if shadows is not None and shadows.imitators is not None:
                target = tallies[place] = Tally(target, question.pool)
            return self.ask(target, question.pool, question.space, every[place], question.seed)

        played: list[Played] = []
        copies: dict[str, Copies] = {}
        chosen, how = self._chosen(strengths, of_source[: len(strengths)], question)
        counted = [name for name in self.attacks if name in question.wanted and name not in FEWEST]
        if counted:
            correct = asked(chosen, counted[0])
            if self.attacks[0] in counted:
                played.append(self._counted(question, correct, of_source[chosen] if of_source else None, how))
            copies = {
                name: Copies(
                    target={"correct": correct},
                    shadow={"correct": of_source[chosen][0]} if of_source else {},
                    n_queries=correct.shape[1],
                    definition=f"which of {correct.shape[1]} copies ({self.attacks[0]}) are correct, strength {how}",
                )
                for name in counted
                if question.wanted[name].learns
            }
        left = tuple(one for one in (*_RATIOS, WITHOUT_IMITATORS) if one.attack in question.wanted)
        compared = PlayedAttacks(not_run=left)
        if ratio and shadows is not None:
            place = _ratio_strength(question, agreements, shadows)
            same = bool(counted) and place == chosen
            correct = asked(chosen, counted[0]) if same else asked(place, left[0].attack)
            told = {
                "n_queries": correct.shape[1],
                "definition": f"strength {every[place]}, of {len(every)}, by the TPR at 1 % FPR of every shadow model "
                f"in turn as target; share of {correct.shape[1]} copies on the probit scale",
            }
            imitated = None
            if place in tallies:
                ask = partial(
                    self.ask, pool=question.pool, space=question.space, strength=every[place], seed=question.seed
                )
                imitated = partial(played_with_imitators, counts=tallies[place].counts, ask=ask)
            compared = _compared(question, agreement(correct), agreements[place], told, imitated)
        return LabelResults(attacks=together([PlayedAttacks(played=tuple(played)), compared]), copies=copies)

    def _asked_shadows(
        self, strengths: Sequence[Any], question: LabelQuestion, *, ratio: bool
    ) -> tuple[list[tuple[np.ndarray, np.ndarray]], list[np.ndarray]]:
        """The first model's answers at each strength with its own classes, and all models' agreement at each."""
        pool, shadows = question.about_shadows.pool, question.trained_on_halves
        if shadows is None:
            return [], []
        n_models = len(shadows.member) if ratio else 1
        of_source: list[tuple[np.ndarray, np.ndarray]] = []
        agreements: list[list[np.ndarray]] = [[] for _ in strengths]
        for number, model in shadows.first(n_models):
            question.progress("asking shadow models for labels", number, n_models)
            own = None if number else model.labels(pool.inputs, np.arange(pool.n_records))
            for place, strength in enumerate(strengths):
                correct = self.ask(model, pool, question.space, strength, question.seed)
                agreements[place].append(agreement(correct))
                if own is not None:
                    of_source.append((correct, own))
        return of_source, [np.stack(of_strength) for of_strength in agreements]

    def _chosen(
        self, strengths: Sequence[Any], of_source: list[tuple[np.ndarray, np.ndarray]], question: LabelQuestion
    ) -> tuple[int, str]:
        """The strength that counts copies best on the first shadow model, and how it was chosen."""
        if len(strengths) == 1:
            return 0, f"{strengths[0]}, the only one"
        if question.trained_on_halves is None:
            place = len(strengths) // 2
            none = "without shadow models none can be chosen"
            return place, f"{strengths[place]}, the middle one of {len(strengths)}: {none}"
        scores = [self._score(question.about_shadows, *answers) for answers in of_source]
        place = choose_on_source(scores, question.trained_on_halves.member[0]).strength
        return place, f"{strengths[place]}, of {len(strengths)}, by the balanced accuracy on the first shadow model"

    def _counted(
        self, question: LabelQuestion, correct: np.ndarray, source: tuple[np.ndarray, np.ndarray] | None, how: str
    ) -> Played:
        return Played(
            attack=question.wanted[self.attacks[0]],
            scores=self._score(question, correct, question.predicted),
            known_scores=None if source is None else self._score(question.about_shadows, *source),
            n_queries=correct.shape[1],
            definition=f"strength {how}",
            by_budget=self.after_fewer(correct, question.predicted == question.pool.labels),
        )

    def _score(self, question: LabelQuestion, correct: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        attack = question.wanted.get(self.attacks[0]) or named(self.attacks[0])
        return score(attack, correct, predicted=predicted, labels=question.pool.labels)


class DrawnCopies(CopiesOfRecords):
    """Copies drawn at random: any number of them can be looked at, so that more queries are compared with fewer.

    Attributes:
        n_draws: Copies of every record.
    """

    n_draws: int

    def __post_init__(self) -> None:
        if self.n_draws < 1:
            raise InputError(f"Expected at least 1 draw of each record, found {self.n_draws}; 100 is usual.")

    def n_queries(self, strength: Any) -> int:
        """Return `n_draws`."""
        return self.n_draws

    def after_fewer(self, correct: np.ndarray, right: np.ndarray) -> tuple[tuple[int, ...], np.ndarray]:
        """Return scores after fewer draws: how many are correct."""
        budgets = tuple(n for n in _DRAWS if n <= correct.shape[1]) or (correct.shape[1],)
        return budgets, prefix_counts(correct, budgets).T


def _compared(
    question: LabelQuestion,
    own: np.ndarray,
    theirs: np.ndarray,
    told: dict[str, Any],
    imitated: Callable[..., PlayedAttacks] | None,
) -> PlayedAttacks:
    """The ratios that are wanted, of the target's signal and the shadow models'."""
    found = []
    for left, way in _RATIOS.items():
        if left.attack in question.wanted:
            one = way(question, own, theirs, **told)
            found.append(PlayedAttacks(not_run=(left,)) if one is None else PlayedAttacks(played=(one,)))
    if IMITATED in question.wanted:
        if imitated is not None and len(theirs) >= FEWEST[IMITATED]:
            found.append(imitated(question, own, theirs, **told))
        else:
            found.append(PlayedAttacks(not_run=(WITHOUT_IMITATORS,)))
    return together(found)


def _ratio_strength(question: LabelQuestion, agreements: Sequence[np.ndarray], shadows: ShadowLabels) -> int:
    if len(agreements) == 1:
        return 0
    partner = partners_of(shadows.member, shadows.groups)
    alone = np.full(len(shadows.member), -1)  # of larger groups the others stay: they choose a strength, score nobody
    return choose_on_shadows(
        partial(ratio_scores, question), agreements, shadows.member, alone if partner is None else partner
    ).strength
