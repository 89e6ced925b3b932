"""Label-only attacks as an audit plays them: strengths chosen on shadow models, then the target asked, then scores."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vestige.attacks import CATALOGUE
from vestige.auditing.label_only import BoundarySearch, CopiesOfRecords, NoisyCopies, Probe
from vestige.auditing.references import remaining
from vestige.core.inputs import InputSpace
from vestige.core.progress import Progress
from vestige.core.records import Records
from vestige.core.result import Check, NotRun, Validity
from vestige.core.targets import LabelTarget
from vestige.evaluation.strength import choose_on_shadows, choose_on_source
from vestige.signals.label_only.agreement import agreement, prefix_counts

_BY_NAME = {attack.name: attack for attack in CATALOGUE}
_RATIO = "label_only_likelihood_ratio"
_DRAWS = (10, 25, 50, 100, 250, 500, 1_000)  # queries at which the attack by noise is looked at
_FEWEST = 4  # models of a likelihood ratio that leaves one and its partner out


@dataclass(frozen=True, eq=False)
class ShadowLabels:
    """Shadow models as a label-only adversary asks them: its own, for nothing.

    Attributes:
        member: Who was trained on what.
        groups: Which of them were drawn together; None if complements say so.
        targets: Begins to go through them, in order, each as a `LabelTarget`.
    """

    member: np.ndarray
    groups: np.ndarray | None
    targets: Callable[[], Iterator[LabelTarget]]


@dataclass(frozen=True, eq=False)
class LabelScores:
    """What label-only attacks add to an audit.

    Attributes:
        is_in: Who was trained on what, of the shadow models; None without.
        scores: Score of each of the target's records, per attack.
        shadow_scores: The same of the first shadow model, at the same strength; thresholds are set there.
        n_queries: Queries about each record, per attack.
        by_budget: Per attack, numbers of queries and the score of each record after as many, record x number.
        not_run: Attacks that could not be played, and what they need.
        checks: What a reader should know.
        definitions: Strengths, and how they were chosen.
    """

    is_in: np.ndarray | None = None
    scores: dict[str, np.ndarray] = field(default_factory=dict)
    shadow_scores: dict[str, np.ndarray] = field(default_factory=dict)
    n_queries: dict[str, int] = field(default_factory=dict)
    by_budget: dict[str, tuple[tuple[int, ...], np.ndarray]] = field(default_factory=dict)
    not_run: list[NotRun] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    definitions: dict[str, str] = field(default_factory=dict)


def label_scores(
    probes: Sequence[Probe],
    target: Callable[[str], LabelTarget],
    predicted: np.ndarray,
    pool: Records,
    space: InputSpace,
    shadows: ShadowLabels | None,
    wanted: Sequence[str],
    seed: int,
    progress: Progress,
) -> LabelScores:
    """Play the label-only attacks on what the probes ask.

    Strength and threshold are chosen together on the first shadow model, as Choquette-Choo et al. do on their source
    model; for the likelihood ratio on all of them in turn. The target is asked at these strengths only, and its members
    are not looked at. Without shadow models the middle strength is taken.

    Args:
        probes: What is asked, each kind once.
        target: Gives the audited model by labels, to an attack of that name.
        predicted: Its classes of the records as they are.
        pool: The records.
        space: What inputs may be.
        shadows: Shadow models, if there are any.
        wanted: Names of the attacks that may be played.
        seed: Of noise and directions, the same for every model.
        progress: Told what is asked.

    Raises:
        InputError: A kind does not fit the inputs.
        TargetError: A model does not answer.
        BudgetError: The target's budget is spent.
    """
    found = LabelScores(None if shadows is None else shadows.member)
    for probe in probes:
        if isinstance(probe, BoundarySearch):
            if probe.attack in wanted:
                _search(found, probe, target, pool, space, shadows, seed, progress)
        elif probe.attack in wanted or (_RATIO in wanted and isinstance(probe, NoisyCopies)):
            _count(found, probe, target, predicted, pool, space, shadows, wanted, seed, progress)
    return found


def _count(
    found: LabelScores,
    probe: CopiesOfRecords,
    target: Callable[[str], LabelTarget],
    predicted: np.ndarray,
    pool: Records,
    space: InputSpace,
    shadows: ShadowLabels | None,
    wanted: Sequence[str],
    seed: int,
    progress: Progress,
) -> None:
    strengths = probe.strengths(pool, space)
    if shadows is None:
        chosen, ratio = len(strengths) // 2, None
        how = f"{strengths[chosen]}, the middle one of {len(strengths)}: without shadow models none can be chosen"
    else:
        of_source, agreements = _asked_shadows(probe, strengths, pool, space, shadows, wanted, seed, progress)
        member = shadows.member[0]
        scores = [_score(probe, correct, own, pool) for correct, own in of_source]
        choice = choose_on_source(scores, member)
        chosen, ratio = choice.strength, None
        how = f"{strengths[chosen]}, of {len(strengths)}, by the balanced accuracy on the first shadow model"
        if agreements is not None:
            ratio = _ratio_strength(agreements, shadows.member)
    asked: dict[int, np.ndarray] = {}

    def ask(place: int, attack: str) -> np.ndarray:
        if place not in asked:
            progress(f"asking the target: {attack.replace('_', ' ')}", 0, 1)
            asked[place] = probe.ask(target(attack), pool, space, strengths[place], seed)
        return asked[place]

    if probe.attack in wanted:
        correct = ask(chosen, probe.attack)
        found.scores[probe.attack] = _score(probe, correct, predicted, pool)
        found.n_queries[probe.attack] = correct.shape[1]
        found.definitions[probe.attack] = f"strength {how}"
        if shadows is not None:
            found.shadow_scores[probe.attack] = scores[chosen]
        if isinstance(probe, NoisyCopies):
            budgets = tuple(n for n in _DRAWS if n <= correct.shape[1])
            right = (predicted == pool.labels)[:, None]
            found.by_budget[probe.attack] = (budgets, np.where(right, prefix_counts(correct, budgets).T, 0.0))
    if ratio is not None and shadows is not None and agreements is not None:
        correct = ask(ratio, _RATIO)
        attack = _BY_NAME[_RATIO].score
        signal, is_in = agreements[ratio], shadows.member
        found.scores[_RATIO] = attack(agreement(correct), signal, is_in)
        others = remaining(is_in, shadows.groups, 0)
        found.shadow_scores[_RATIO] = attack(signal[0], signal[others], is_in[others])
        found.n_queries[_RATIO] = correct.shape[1]
        found.definitions[_RATIO] = (
            f"strength {strengths[ratio]}, of {len(strengths)}, by the TPR at 1 % FPR of every shadow model in turn "
            f"as target; share of {correct.shape[1]} copies on the probit scale"
        )
    elif isinstance(probe, NoisyCopies) and _RATIO in wanted:
        found.not_run.append(NotRun(_RATIO, f"at least {_FEWEST} shadow models in pairs"))


def _asked_shadows(
    probe: CopiesOfRecords,
    strengths: Sequence[Any],
    pool: Records,
    space: InputSpace,
    shadows: ShadowLabels,
    wanted: Sequence[str],
    seed: int,
    progress: Progress,
) -> tuple[list[tuple[np.ndarray, np.ndarray]], list[np.ndarray] | None]:
    """The first model's answers at each strength with its own classes, and all models' agreement at each strength."""
    needs_all = isinstance(probe, NoisyCopies) and _RATIO in wanted and _enough(shadows)
    of_source: list[tuple[np.ndarray, np.ndarray]] = []
    agreements: list[list[np.ndarray]] = [[] for _ in strengths]
    for number, model in enumerate(shadows.targets()):
        if number and not needs_all:
            break
        progress("asking shadow models for labels", number, len(shadows.member) if needs_all else 1)
        for place, strength in enumerate(strengths):
            correct = probe.ask(model, pool, space, strength, seed)
            agreements[place].append(agreement(correct))
            if not number:
                own = model.labels(pool.inputs, np.arange(pool.n_records))
                of_source.append((correct, own))
    return of_source, [np.stack(of_strength) for of_strength in agreements] if needs_all else None


def _enough(shadows: ShadowLabels) -> bool:
    if len(shadows.member) < _FEWEST:
        return False
    left = shadows.member[remaining(shadows.member, shadows.groups, 0)]
    return len(left) > 0 and bool(min(left.sum(axis=0).min(), (~left).sum(axis=0).min()) >= 1)


def _ratio_strength(agreements: Sequence[np.ndarray], member: np.ndarray) -> int:
    if len(agreements) == 1:
        return 0
    partner = np.array([next(iter(np.flatnonzero((member == ~row).all(axis=1))), -1) for row in member])
    return choose_on_shadows(_BY_NAME[_RATIO].score, agreements, member, partner).strength


def _score(probe: CopiesOfRecords, correct: np.ndarray, predicted: np.ndarray, pool: Records) -> np.ndarray:
    attack = _BY_NAME[probe.attack]
    signals = {"noise_correct": correct, "correct": correct, "predicted": predicted, "labels": pool.labels}
    return attack.score(*(signals[name] for name in attack.reads))


def _search(
    found: LabelScores,
    probe: BoundarySearch,
    target: Callable[[str], LabelTarget],
    pool: Records,
    space: InputSpace,
    shadows: ShadowLabels | None,
    seed: int,
    progress: Progress,
) -> None:
    attack = _BY_NAME[probe.attack].score
    if shadows is not None:
        progress("searching for the boundary of a shadow model", 0, 1)
        for model in shadows.targets():  # kept while it is asked: the ledger behind it closes with the iterator
            found.shadow_scores[probe.attack] = attack(probe.search(model, pool, space, seed).distances)
            break
    progress("searching for the boundary of the target", 0, 1)
    distances = probe.search(target(probe.attack), pool, space, seed)
    found.scores[probe.attack] = attack(distances.distances)
    found.n_queries[probe.attack] = probe.n_queries
    budgets = tuple(b for b in distances.budgets if b <= probe.n_queries)
    if budgets:
        found.by_budget[probe.attack] = (budgets, np.stack([attack(column) for column in distances.trace.T], axis=1))
        found.by_budget[probe.attack] = (budgets, found.by_budget[probe.attack][1][:, : len(budgets)])
    name = getattr(probe.estimator, "__name__", "own estimator")
    found.definitions[probe.attack] = f"L2 in the units of the inputs, by {name}, at most {probe.n_queries:,} queries"
    robust = int(distances.robust.sum())
    if robust:
        found.checks.append(
            Check(
                "boundary_not_found",
                Validity.VALID,
                f"For {robust:,} of {pool.n_records:,} records no input of another class was found: they count as the "
                "farthest.",
            )
        )
