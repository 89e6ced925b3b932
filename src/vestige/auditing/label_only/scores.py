"""Label-only attacks as an audit plays them: strengths chosen on shadow models, then the target asked, then scores."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from vestige.auditing.label_only.distances import calibrated_search, combined_search, settled_search
from vestige.auditing.label_only.findings import LabelQuestion, LabelScores, ShadowLabels
from vestige.auditing.label_only.probes import (
    FEWEST,
    NETWORK,
    RATIO,
    BoundarySearch,
    CombinedDistances,
    CopiesOfRecords,
    NoisyCopies,
    Probe,
    SettledSearch,
    attacks_of,
)
from vestige.auditing.references.phi import fewest_on_a_side, remaining
from vestige.auditing.references.scores import partners_of
from vestige.core.result import NotRun
from vestige.evaluation.strength import choose_on_shadows, choose_on_source
from vestige.signals.label_only.agreement import agreement, prefix_counts

_DRAWS = (10, 25, 50, 100, 250, 500, 1_000)  # queries at which the attack by noise is looked at


def label_scores(probes: Sequence[Probe], question: LabelQuestion) -> LabelScores:
    """Play the label-only attacks on what the probes ask.

    Strength and threshold are chosen together on the first shadow model, as Choquette-Choo et al. do on their source
    model; for the likelihood ratio on all of them in turn. The target is asked at these strengths only, and its members
    are not looked at. Without shadow models the middle strength is taken.

    Args:
        probes: What is asked, each kind once.
        question: Who is asked about which records, and for which attacks.

    Raises:
        InputError: A kind does not fit the inputs.
        TargetError: A model does not answer.
        BudgetError: The target's budget is spent.
    """
    shadows, wanted = question.shadows, question.wanted
    found = LabelScores(None if shadows is None else shadows.member)
    for probe in probes:
        if isinstance(probe, BoundarySearch):
            if set(attacks_of(probe)) & set(wanted):
                calibrated_search(found, probe, question)
        elif isinstance(probe, CombinedDistances):
            if probe.attack in wanted:
                combined_search(found, probe, question)
        elif isinstance(probe, SettledSearch):
            if probe.attack in wanted:
                settled_search(found, probe, question)
        elif set(attacks_of(probe)) & set(wanted):
            _count(found, probe, question)
    return found


def _count(found: LabelScores, probe: CopiesOfRecords, question: LabelQuestion) -> None:
    pool, shadows, wanted = question.pool, question.shadows, question.wanted
    strengths = probe.strengths(pool, question.space)
    of_source: list[tuple[np.ndarray, np.ndarray]] = []
    agreements: list[np.ndarray] | None = None
    ratio: int | None = None
    if shadows is None:
        chosen = len(strengths) // 2
        how = f"{strengths[chosen]}, the middle one of {len(strengths)}: without shadow models none can be chosen"
    else:
        of_source, agreements = _asked_shadows(probe, strengths, shadows, question)
        scores = [_score(question, probe, correct, own) for correct, own in of_source]
        chosen = choose_on_source(scores, shadows.member[0]).strength
        how = f"{strengths[chosen]}, of {len(strengths)}, by the balanced accuracy on the first shadow model"
        if agreements is not None:
            ratio = _ratio_strength(question, agreements, shadows)
    asked: dict[int, np.ndarray] = {}

    def ask(place: int, attack: str) -> np.ndarray:
        if place not in asked:
            question.progress(f"asking the target: {attack.replace('_', ' ')}", 0, 1)
            asked[place] = probe.ask(question.target(attack), pool, question.space, strengths[place], question.seed)
        return asked[place]

    if probe.attack in wanted:
        correct = ask(chosen, probe.attack)
        found.scores[probe.attack] = _score(question, probe, correct, question.predicted)
        found.n_queries[probe.attack] = correct.shape[1]
        found.definitions[probe.attack] = f"strength {how}"
        if shadows is not None:
            found.shadow_scores[probe.attack] = scores[chosen]
        if isinstance(probe, NoisyCopies):
            budgets = tuple(n for n in _DRAWS if n <= correct.shape[1]) or (correct.shape[1],)
            right = (question.predicted == pool.labels)[:, None]
            found.by_budget[probe.attack] = (budgets, np.where(right, prefix_counts(correct, budgets).T, 0.0))
    if NETWORK in wanted and not isinstance(probe, NoisyCopies) and "correct" not in found.signals:
        correct = ask(chosen, NETWORK)
        found.signals["correct"] = correct
        if of_source:
            found.shadow_signals["correct"] = of_source[chosen][0]
        found.n_queries[NETWORK] = correct.shape[1]
        found.definitions[NETWORK] = f"which of {correct.shape[1]} copies ({probe.attack}) are correct, strength {how}"
    if ratio is not None and shadows is not None and agreements is not None:
        correct = ask(ratio, RATIO)
        signal, is_in = agreements[ratio], shadows.member
        found.scores[RATIO] = _ratio(question, agreement(correct), signal, is_in)
        others = remaining(is_in, shadows.groups, 0)
        found.shadow_scores[RATIO] = _ratio(question, signal[0], signal[others], is_in[others])
        found.n_queries[RATIO] = correct.shape[1]
        found.definitions[RATIO] = (
            f"strength {strengths[ratio]}, of {len(strengths)}, by the TPR at 1 % FPR of every shadow model in turn "
            f"as target; share of {correct.shape[1]} copies on the probit scale"
        )
    elif isinstance(probe, NoisyCopies) and RATIO in wanted:
        found.not_run.append(NotRun(RATIO, f"at least {FEWEST} shadow models in pairs"))


def _asked_shadows(
    probe: CopiesOfRecords, strengths: Sequence[Any], shadows: ShadowLabels, question: LabelQuestion
) -> tuple[list[tuple[np.ndarray, np.ndarray]], list[np.ndarray] | None]:
    """The first model's answers at each strength with its own classes, and all models' agreement at each strength."""
    pool, needs_all = question.pool, isinstance(probe, NoisyCopies) and RATIO in question.wanted and _enough(shadows)
    of_source: list[tuple[np.ndarray, np.ndarray]] = []
    agreements: list[list[np.ndarray]] = [[] for _ in strengths]
    for number, model in enumerate(shadows.targets()):
        if number and not needs_all:
            break
        question.progress("asking shadow models for labels", number, len(shadows.member) if needs_all else 1)
        own = None if number else model.labels(pool.inputs, np.arange(pool.n_records))
        for place, strength in enumerate(strengths):
            correct = probe.ask(model, pool, question.space, strength, question.seed)
            agreements[place].append(agreement(correct))
            if own is not None:
                of_source.append((correct, own))
    return of_source, [np.stack(of_strength) for of_strength in agreements] if needs_all else None


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


def _ratio(question: LabelQuestion, own: np.ndarray, theirs: np.ndarray, is_in: np.ndarray) -> np.ndarray:
    return question.wanted[RATIO].play({"agreement": own, "shadow_agreement": theirs, "is_in": is_in})


def _score(question: LabelQuestion, probe: CopiesOfRecords, correct: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    signals = {"noise_correct": correct, "correct": correct, "predicted": predicted, "labels": question.pool.labels}
    return question.wanted[probe.attack].play(signals)
