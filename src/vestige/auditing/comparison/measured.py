"""What attacks find of every family of models, by adversaries who know its defence and who do not."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from vestige.auditing.comparison.family import EARLY, UNDEFENDED, Family
from vestige.auditing.comparison.known_half import measures_in_turn
from vestige.auditing.comparison.marked import Marked, Sources, measures_of_marked
from vestige.auditing.comparison.over_records import Measure
from vestige.auditing.comparison.rates import (
    FPRS,
    RATE,
    RATIO,
    Scored,
    curve_of,
    measures_of,
    of_pairs,
    rates_of_the_worst,
    scores_in_turn,
)
from vestige.auditing.comparison.rising import Risks, mean_risk, rising, risks_of
from vestige.auditing.comparison.risk_scores import PRIVACY_RISK, risk_in_turn
from vestige.core.attack import Attack
from vestige.core.progress import Progress
from vestige.evaluation.trials import Mean, mean_of
from vestige.signals.losses import losses_from_phi

RISK, RISK_OF_RISING = "risk", "risk, records at rising risk"
KNOWN_HALF = "known half"
SHARE_RISING = "share of records at rising risk"


@dataclass(frozen=True, eq=False)
class Found:
    """A number of one family.

    Attributes:
        of_pairs: Of each pair of models, by the number of the pair.
        influence: Of each record on the mean over models; None where that is not known.
        before: The same without a defence, where that is no number of the undefended models alone.
        at_once: The number, where it is of all models at once and not a mean over pairs.
    """

    of_pairs: Mapping[int, float]
    influence: Float[np.ndarray, " record"] | None = None
    _: KW_ONLY
    before: "Found | None" = None
    at_once: float | None = None

    def change_of_record(self, other: "Found") -> Float[np.ndarray, " record"] | None:
        """Influence of each record on how much more it is than another number of the same pairs, where it is known."""
        if self.influence is None or other.influence is None or set(self.of_pairs) != set(other.of_pairs):
            return None
        return np.asarray(self.influence - other.influence)

    @property
    def over_pairs(self) -> Mean:
        """The number, with its interval over pairs."""
        if self.at_once is not None:
            return Mean(round(self.at_once, 5), math.nan, math.nan)
        return mean_of(list(self.of_pairs.values())).rounded()

    def more_than(self, other: "Found") -> Mean:
        """How much more it is than another number, pair by pair, with its interval over pairs."""
        both = sorted(set(self.of_pairs) & set(other.of_pairs))
        if not both:
            return Mean(math.nan, math.nan, math.nan)
        return mean_of([self.of_pairs[draw] - other.of_pairs[draw] for draw in both]).rounded()


OfAttacks = Mapping[str, Mapping[str, Found]]
"""Attack -> metric -> what was found."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Compared:
    """What was measured of one family.

    Attributes:
        family: The family.
        by_adversary: Of each adversary, what attacks find.
    """

    family: Family
    by_adversary: Mapping[str, OfAttacks]


@dataclass(eq=False)
class _Sum:
    """What was measured of models so far."""

    of_models: dict[int, float] = field(default_factory=dict)
    influence: np.ndarray | float | None = 0.0

    def add(self, model: int, measure: Measure) -> None:
        self.of_models[model] = measure.value
        known = self.influence is not None and measure.influence is not None
        self.influence = self.influence + measure.influence if known else None  # type: ignore[operator]  # both known

    def found(self, draws: Mapping[int, int]) -> Found:
        mean = None if self.influence is None else np.asarray(self.influence) / len(self.of_models)
        return Found(of_pairs(self.of_models, draws), mean)


def compared(
    families: Mapping[str, Family], attacks: Sequence[Attack], progress: Progress, marked: Sequence[Marked] = ()
) -> dict[str, Compared]:
    """Attack every family: by models of its own, and by undefended ones.

    Args:
        families: By name, the undefended one under `none`.
        attacks: What is played.
        progress: Told after every family.
        marked: Records that are looked at by themselves as well.
    """
    found: dict[str, Compared] = {}
    of_undefended: dict[int, dict[str, Any]] = {}
    undefended = families[UNDEFENDED]
    risks, sources = risks_of(undefended), Sources()
    for done, (name, family) in enumerate(families.items()):
        progress("attacking each model in turn", done, len(families))
        same = next((one for one in found.values() if one.family is family), None)
        if same is not None:
            found[name] = same
            continue
        learnt = of_undefended if name == UNDEFENDED else None
        own_sources = sources if name == UNDEFENDED else Sources()
        all_adaptive = _measured(scores_in_turn(family, family, attacks, learnt), family, marked, own_sources)
        adaptive, alone = _split(all_adaptive, attacks)
        of_ratio = adaptive.setdefault(RATIO, {})
        of_ratio |= _of_the_worst(family)
        of_ratio |= _risks(family, risks)
        adaptive[PRIVACY_RISK] = _risk_scores(family)
        by_adversary: dict[str, OfAttacks] = {"adaptive": {k: v for k, v in adaptive.items() if v}, "any": alone}
        if name != UNDEFENDED and not name.startswith(EARLY):
            unaware = _measured(scores_in_turn(family, undefended, attacks, of_undefended), family, marked, sources)
            by_adversary["unaware"], _ = _split(unaware, attacks)
        if family.halves is not None:
            by_adversary[KNOWN_HALF] = _known_half(family)
        found[name] = Compared(family=family, by_adversary=by_adversary)
    return found


def _measured(
    scored: Iterable[Scored], family: Family, marked: Sequence[Marked], sources: Sources
) -> dict[str, dict[str, Found]]:
    """What attacks find of a family; the sources are of the adversary's models, and are entered if they are these."""
    sums: dict[str, dict[str, _Sum]] = {}
    is_own, draws = not sources.entered, _draws(family)
    for one in scored:
        curve, draw = curve_of(one), draws[one.model]
        measures = measures_of(one, curve)
        if marked and is_own:
            sources.enter(one, curve, draw)
        at_source = sources.threshold(one.attack, draw)
        for some in marked:
            measures |= measures_of_marked(one, curve, some, at_source)
        for metric, measure in measures.items():
            sums.setdefault(one.attack, {}).setdefault(metric, _Sum()).add(one.model, measure)
    return {attack: {m: total.found(draws) for m, total in metrics.items()} for attack, metrics in sums.items()}


def _split(
    found: Mapping[str, dict[str, Found]], attacks: Sequence[Attack]
) -> tuple[dict[str, dict[str, Found]], dict[str, dict[str, Found]]]:
    """Attacks with models of the adversary's, and the others."""
    with_models = {attack.name for attack in attacks if attack.needs_references}
    return {k: v for k, v in found.items() if k in with_models}, {
        k: v for k, v in found.items() if k not in with_models
    }


def _draws(family: Family) -> dict[int, int]:
    return dict(zip(family.numbers.tolist(), family.draws.tolist(), strict=True))


def _risk_scores(family: Family) -> dict[str, Found]:
    sums: dict[str, _Sum] = {}
    if family.entropies is not None:
        for place, measures in risk_in_turn(family.entropies, family.is_in, family.draws):
            for metric, measure in measures.items():
                sums.setdefault(metric, _Sum()).add(int(family.numbers[place]), measure)
    return {metric: total.found(_draws(family)) for metric, total in sums.items()}


def _known_half(family: Family) -> dict[str, dict[str, Found]]:
    """What is learnt from half of each model's own records: by attacks that learn, and by thresholds of classes."""
    assert family.halves is not None
    assert family.entropies is not None
    assert family.observed is not None
    entropies, phi = family.entropies, family.observed.shadow_phi[:, :, 0]
    by_threshold = {"loss": -losses_from_phi(phi), "modified_entropy": -entropies.of_models}
    labels, n_classes = entropies.labels, entropies.n_classes
    sums: dict[str, dict[str, _Sum]] = {}
    in_turn = measures_in_turn(family.halves, family.is_in, by_threshold, labels, n_classes, FPRS)
    for attack, place, measures in in_turn:
        for metric, measure in measures.items():
            sums.setdefault(attack, {}).setdefault(metric, _Sum()).add(int(family.numbers[place]), measure)
    draws = _draws(family)
    return {attack: {m: total.found(draws) for m, total in metrics.items()} for attack, metrics in sums.items()}


def _of_the_worst(family: Family) -> dict[str, Found]:
    worst, everyone = _Sum(), _Sum()
    for model, of_worst, of_all in rates_of_the_worst(family):
        worst.add(model, of_worst)
        everyone.add(model, of_all)
    draws, named = _draws(family), ((f"{RATE}, worst 1 %", worst), (f"{RATE}, all, same models", everyone))
    return {metric: total.found(draws) for metric, total in named if total.of_models}


def _risks(family: Family, before: Risks | None) -> dict[str, Found]:
    """Mean risk of the records, and whose risk rises."""
    now = risks_of(family)
    if now is None or not now.of_pairs:
        return {}
    found = {RISK: Found(*mean_risk(now))}
    rise = None if before is None or family.name == UNDEFENDED else rising(now, before)
    if rise is not None:
        found[SHARE_RISING] = Found({}, rise.share.influence, at_once=rise.share.value)
    if rise is not None and rise.risk:
        found[RISK_OF_RISING] = Found(rise.risk, rise.influence, before=Found(rise.before, rise.influence_before))
    return found
