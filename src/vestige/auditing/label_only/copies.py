"""Probes that ask about copies of every record: a strength is chosen on shadow models, then the target is asked."""

from abc import abstractmethod
from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Bool

from vestige.attacks import named
from vestige.auditing.label_only.probe import FEWEST, RATIO, Probe, score
from vestige.auditing.label_only.question import LabelQuestion, LabelResults, ShadowLabels
from vestige.auditing.played import Played, PlayedAttacks
from vestige.auditing.references.phi import fewest_on_a_side, remaining
from vestige.auditing.references.scores import partners_of
from vestige.auditing.scoring.learnt_scores import Copies
from vestige.core.inputs import InputSpace
from vestige.core.records import Records
from vestige.core.result import NotRun
from vestige.core.targets import LabelTarget
from vestige.evaluation.strength import choose_on_shadows, choose_on_source
from vestige.signals.label_only.agreement import agreement


class CopiesOfRecords(Probe):
    """A kind of copies. The first of its attacks counts them; others learn from them or compare models by them."""

    @abstractmethod
    def strengths(self, pool: Records, space: InputSpace) -> tuple[Any, ...]:
        """Return the strengths to choose from, the weakest first."""

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
        return most * ((RATIO in wanted) + bool(set(wanted) - {RATIO}))

    def play(self, question: LabelQuestion) -> LabelResults:
        """Play the attacks on copies.

        Strength and threshold are chosen together on the first shadow model, as Choquette-Choo et al. do on their
        source model; for the likelihood ratio on all of them in turn. The target is asked at these strengths only, and
        its members are not looked at. Without shadow models the middle strength is taken.
        """
        strengths = self.strengths(question.pool, question.space)
        shadows = question.shadows
        ratio = RATIO in question.wanted and shadows is not None and _enough(shadows)
        of_source, agreements = self._asked_shadows(strengths, question, ratio=ratio)

        def asked(place: int, attack: str) -> np.ndarray:
            question.progress(f"asking the target: {attack.replace('_', ' ')}", 0, 1)
            return self.ask(question.target(attack), question.pool, question.space, strengths[place], question.seed)

        played: list[Played] = []
        copies = None
        chosen, how = self._chosen(strengths, of_source, question)
        counted = [name for name in self.attacks if name in question.wanted and name != RATIO]
        if counted:
            correct = asked(chosen, counted[0])
            if self.attacks[0] in counted:
                played.append(self._counted(question, correct, of_source[chosen] if of_source else None, how))
            if any(question.wanted[name].learns for name in counted):
                definition = f"which of {correct.shape[1]} copies ({self.attacks[0]}) are correct, strength {how}"
                of_shadow = {"correct": of_source[chosen][0]} if of_source else {}
                copies = Copies(
                    target={"correct": correct}, shadow=of_shadow, n_queries=correct.shape[1], definition=definition
                )
        not_run = []
        if ratio and shadows is not None:
            place = _ratio_strength(question, agreements, shadows)
            same = bool(counted) and place == chosen
            correct = asked(chosen, counted[0]) if same else asked(place, RATIO)
            played.append(_compared(question, correct, agreements[place], f"{strengths[place]}, of {len(strengths)}"))
        elif RATIO in question.wanted:
            not_run.append(NotRun(RATIO, f"at least {FEWEST} shadow models in pairs"))
        return LabelResults(attacks=PlayedAttacks(played=tuple(played), not_run=tuple(not_run)), copies=copies)

    def _asked_shadows(
        self, strengths: Sequence[Any], question: LabelQuestion, *, ratio: bool
    ) -> tuple[list[tuple[np.ndarray, np.ndarray]], list[np.ndarray]]:
        """The first model's answers at each strength with its own classes, and all models' agreement at each."""
        pool, shadows = question.shadow_pool, question.shadows
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
        if question.shadows is None:
            place = len(strengths) // 2
            none = "without shadow models none can be chosen"
            return place, f"{strengths[place]}, the middle one of {len(strengths)}: {none}"
        scores = [self._score(question, correct, own, question.shadow_pool) for correct, own in of_source]
        place = choose_on_source(scores, question.shadows.member[0]).strength
        return place, f"{strengths[place]}, of {len(strengths)}, by the balanced accuracy on the first shadow model"

    def _counted(
        self, question: LabelQuestion, correct: np.ndarray, source: tuple[np.ndarray, np.ndarray] | None, how: str
    ) -> Played:
        return Played(
            attack=question.wanted[self.attacks[0]],
            scores=self._score(question, correct, question.predicted, question.pool),
            known_scores=None if source is None else self._score(question, *source, question.shadow_pool),
            n_queries=correct.shape[1],
            definition=f"strength {how}",
            by_budget=self.after_fewer(correct, question.predicted == question.pool.labels),
        )

    def _score(self, question: LabelQuestion, correct: np.ndarray, predicted: np.ndarray, pool: Records) -> np.ndarray:
        attack = question.wanted.get(self.attacks[0]) or named(self.attacks[0])
        return score(attack, correct, predicted=predicted, labels=pool.labels)


def _compared(question: LabelQuestion, correct: np.ndarray, signal: np.ndarray, strength: str) -> Played:
    """The likelihood ratio of the target's share of correct copies, and of the first shadow model's."""
    shadows = question.shadows
    assert shadows is not None
    is_in = shadows.member
    others = remaining(is_in, shadows.groups, 0)
    return Played(
        attack=question.wanted[RATIO],
        scores=_ratio(question, agreement(correct), signal, is_in),
        known_scores=_ratio(question, signal[0], signal[others], is_in[others]),
        n_queries=correct.shape[1],
        definition=f"strength {strength}, by the TPR at 1 % FPR of every shadow model in turn as target; share of "
        f"{correct.shape[1]} copies on the probit scale",
    )


def _ratio(question: LabelQuestion, own: np.ndarray, theirs: np.ndarray, is_in: np.ndarray) -> np.ndarray:
    return score(question.wanted[RATIO], own, shadow_agreement=theirs, is_in=is_in)


def _enough(shadows: ShadowLabels) -> bool:
    if len(shadows.member) < FEWEST:
        return False
    left = shadows.member[remaining(shadows.member, shadows.groups, 0)]
    return len(left) > 0 and fewest_on_a_side(left) >= 1


def _ratio_strength(question: LabelQuestion, agreements: Sequence[np.ndarray], shadows: ShadowLabels) -> int:
    if len(agreements) == 1:
        return 0
    partner = partners_of(shadows.member, shadows.groups)
    alone = np.full(len(shadows.member), -1)  # of larger groups the others stay: they choose a strength, score nobody
    return choose_on_shadows(
        partial(_ratio, question), agreements, shadows.member, alone if partner is None else partner
    ).strength
