"""Do the intervals cover what they say, and are they no wider than they must be?

From the root: `python -m tests.evaluation.coverage_study`, under ten minutes on one core. Prints a table and writes
`coverage.json` beside this file. Scores are normal, nonmembers N(0, 1) and members N(d', 1) unless a scenario says
otherwise, so that every true value has a closed form.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import norm

from vestige.core.seeds import stream
from vestige.evaluation.intervals import (
    auc_interval,
    balanced_accuracy_bounds,
    bonferroni,
    f1_bounds,
    is_resolvable,
    precision_bounds,
    rate_bounds,
    tpr_at_fpr_bounds,
)
from vestige.evaluation.roc import Roc, point_at_fpr, roc
from vestige.evaluation.units import Units, make_units

RESULTS = Path(__file__).with_name("coverage.json")
LEVEL = 0.95
COVERAGE_BAR = (0.93, 0.99)
RATIO_BAR = 1.3
RATIO_BAR_WITH_TIES = 1.5
"""Where scores are tied: whether the next tie belongs above the threshold is part of what is not known."""
FEWEST_EVENTS = 3
"""Fewer expected hits or misses than this: the estimand sits on the edge of its scale and the row is degenerate."""
REFERENCE = "width of the central 95 % of the estimate's own sampling distribution, over the same draws"
PRIORS = (0.5, 0.1, 0.01)
AT_A_THRESHOLD = (
    "balanced_accuracy",
    "recall",
    "fpr",
    *(f"precision_at_prior_{prior:g}" for prior in PRIORS),
    "precision",
    "f1",
)


@dataclass(frozen=True)
class Scenario:
    """Where scores come from.

    Attributes:
        name: What is special about it.
        shifts: d' of each attack, in standard deviations of a record's score.
        n_members: Units on the members' side.
        n_nonmembers: Units on the nonmembers' side.
        fprs: Rates of the TPR; those that the size does not resolve are left out.
        records: Records per unit; more than one means subjects, with correlation 1/2 between their records.
        step: Scores are rounded to multiples of this; 0 leaves them.
        tie_at: Share of nonmembers above the boundary between two rounded values; 0 leaves the boundaries.
        right: Scores are 1 with these probabilities of members and of nonmembers, else 0; none for normal scores.
        area: With AUC.
        at_threshold: With the metrics at a threshold.
    """

    name: str
    shifts: tuple[float, ...]
    n_members: int
    n_nonmembers: int
    fprs: tuple[float, ...] = (0.1, 0.01, 0.001)
    records: int = 1
    step: float = 0.0
    tie_at: float = 0.0
    right: tuple[float, float] | None = None
    area: bool = True
    at_threshold: bool = True

    @property
    def spread(self) -> float:
        """Standard deviation of a unit's score."""
        return sqrt((1 + 1 / self.records) / 2)

    @property
    def threshold(self) -> float:
        """Midway between the means; with several attacks, of the first's."""
        return self.shifts[0] / 2

    def above(self, score: Any, shift: float) -> Any:
        """P(unit's score >= score)."""
        return norm.sf((self.up(score) - self.step / 2 - shift) / self.spread)

    @property
    def offset(self) -> float:
        """Where rounded values stand from multiples of the step."""
        return (norm.isf(self.tie_at) + self.step / 2) % self.step if self.tie_at else 0.0

    def up(self, score: Any) -> Any:
        """The lowest value at or above a score."""
        score = np.asarray(score)
        if not self.step:
            return score
        return np.ceil((score - self.offset) / self.step - 1e-9) * self.step + self.offset

    def sample(self, shift: float, n: int, rng: np.random.Generator, units: Units | None) -> np.ndarray:
        """Scores of one side's units."""
        if units is not None:
            shared = np.repeat(rng.normal(size=n), self.records)
            return units.score(shift + (shared + rng.normal(size=shared.size)) / sqrt(2))
        scores = rng.normal(shift, size=n)
        return np.round((scores - self.offset) / self.step) * self.step + self.offset if self.step else scores

    def draws(self, shift: float, n_draws: int, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Member and nonmember scores, again and again."""
        rates = self.right or (0.0, 0.0)
        sides = (self.n_members, shift, rates[0]), (self.n_nonmembers, 0.0, rates[1])
        units = [self.units(n) for n, *_ in sides]
        for _ in range(n_draws):
            if self.right:
                members, nonmembers = ((rng.random(n) < p).astype(float) for n, _, p in sides)
            else:
                members, nonmembers = (self.sample(d, n, rng, u) for (n, d, _), u in zip(sides, units, strict=True))
            yield members, nonmembers

    def units(self, n: int) -> Units | None:
        """One side's subjects, or None where records stand for themselves."""
        if self.records == 1:
            return None
        return make_units(np.repeat(np.arange(n), self.records), np.ones(n * self.records, dtype=bool))


def truth(scenario: Scenario, shift: float, metric: str) -> float:
    """The true value of a metric, in closed form."""
    if scenario.right:  # one point between the corners, so the area is its balanced accuracy
        return 0.5 + (scenario.right[0] - scenario.right[1]) / 2 if metric == "auc" else 0.0
    if metric == "auc":
        if not scenario.step:
            return float(norm.cdf(shift / (scenario.spread * sqrt(2))))
        grid = np.arange(-12, 12, scenario.step) + scenario.offset
        at, below_next = scenario.above(grid, 0.0), scenario.above(grid + scenario.step, 0.0)
        member_mid = (scenario.above(grid, shift) + scenario.above(grid + scenario.step, shift)) / 2
        return float(np.sum((at - below_next) * member_mid))
    if metric.startswith("tpr_at_fpr_"):
        fpr = float(metric.removeprefix("tpr_at_fpr_"))
        score = norm.isf(fpr) * scenario.spread
        if scenario.step:  # the lowest value of the grid that accuses no more than this
            score = scenario.up(score + scenario.step / 2)
        return float(scenario.above(score, shift))
    t, f = float(scenario.above(scenario.threshold, shift)), float(scenario.above(scenario.threshold, 0.0))
    return float(value_at_threshold(metric, t, f, scenario.n_members, scenario.n_nonmembers))


def value_at_threshold(metric: str, tpr: Any, fpr: Any, n_members: int, n_nonmembers: int) -> Any:
    """A metric from the two rates."""
    if metric == "balanced_accuracy":
        return (tpr + 1 - fpr) / 2
    if metric in ("recall", "fpr"):
        return tpr if metric == "recall" else fpr
    if metric == "f1":
        return 2 * tpr * n_members / (tpr * n_members + fpr * n_nonmembers + n_members)
    prior = prior_of(metric, n_members, n_nonmembers)
    return prior * tpr / (prior * tpr + (1 - prior) * fpr)


def prior_of(metric: str, n_members: int, n_nonmembers: int) -> float:
    as_counted = metric == "precision"
    return n_members / (n_members + n_nonmembers) if as_counted else float(metric.rsplit("_", 1)[1])


def bounds_at_threshold(
    metric: str, tp: np.ndarray, n_members: int, fp: np.ndarray, n_nonmembers: int, level: float
) -> tuple[np.ndarray, np.ndarray]:
    """The interval under test of a metric at a threshold."""
    if metric == "recall":
        return rate_bounds(tp, n_members, level)
    if metric == "fpr":
        return rate_bounds(fp, n_nonmembers, level)
    if metric == "balanced_accuracy":
        return balanced_accuracy_bounds(tp, n_members, fp, n_nonmembers, level)
    if metric == "f1":
        return f1_bounds(tp, n_members, fp, n_nonmembers, level)
    prior = prior_of(metric, n_members, n_nonmembers)
    return precision_bounds(tp, n_members, fp, n_nonmembers, prior, level)


Triple = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Estimate, lower and upper bound of every draw."""


def simulate(
    scenario: Scenario, shift: float, n_draws: int, level: float, rng: np.random.Generator
) -> dict[str, Triple]:
    """Draw scores and compute every interval."""
    fprs = [f for f in scenario.fprs if is_resolvable(f, scenario.n_nonmembers)]
    found: dict[str, list[np.ndarray]] = {}
    positives: list[list[int]] = []
    curves: list[Roc] = []

    def flush() -> None:
        for fpr in fprs:
            estimate = np.array([c.tpr[point_at_fpr(c, fpr)] for c in curves])
            bounds = tpr_at_fpr_bounds(curves, [fpr] * len(curves), level)
            found.setdefault(f"tpr_at_fpr_{fpr:g}", []).append(np.stack([estimate, *bounds]))
        if scenario.area:
            areas = np.array([(c.auc, *auc_interval(c, level)) for c in curves]).T
            found.setdefault("auc", []).append(areas)
        curves.clear()

    for members, nonmembers in scenario.draws(shift, n_draws, rng):
        curves.append(roc(members, nonmembers))
        positives.append([int(np.count_nonzero(s >= scenario.threshold)) for s in (members, nonmembers)])
        if len(curves) == 250:
            flush()
    if curves:
        flush()
    triples: dict[str, Triple] = {metric: tuple(np.concatenate(parts, axis=1)) for metric, parts in found.items()}
    if scenario.at_threshold and not scenario.right:
        tp, fp = np.array(positives).T
        m, n = scenario.n_members, scenario.n_nonmembers
        for metric in AT_A_THRESHOLD:
            estimate = value_at_threshold(metric, tp / m, fp / n, m, n)
            triples[metric] = (estimate, *bounds_at_threshold(metric, tp, m, fp, n, level))
    return triples


def why_degenerate(scenario: Scenario, metric: str, true: float) -> str:
    """Why no interval can be asked to cover here; empty for an ordinary row."""
    if metric.startswith("tpr_at_fpr_") or metric in ("recall", "fpr"):
        n = scenario.n_nonmembers if metric == "fpr" else scenario.n_members
        hits, misses = n * true, n * (1 - true)
        if min(hits, misses) < FEWEST_EVENTS:
            return f"{hits:.2g} expected hits, {misses:.2g} expected misses"
    out_of_order = min(scenario.n_members, scenario.n_nonmembers) * (1 - true)
    if metric == "auc" and out_of_order < FEWEST_EVENTS:
        return f"{out_of_order:.2g} units of the smaller side expected out of order"
    return ""


def row(scenario: Scenario, metric: str, true: float, triple: Triple) -> dict[str, Any]:
    """Coverage and width of one metric's interval."""
    estimate, lower, upper = triple
    width = float(np.mean(upper - lower))
    low, high = np.quantile(estimate, [0.025, 0.975])
    ratio = width / (high - low) if high > low else None  # the estimate never varies
    coverage = float(np.mean((lower <= true) & (true <= upper)))
    simultaneous = len(scenario.shifts) > 1
    reason = why_degenerate(scenario, metric, true)
    bar = RATIO_BAR_WITH_TIES if scenario.step else RATIO_BAR
    if simultaneous:
        holds = coverage >= COVERAGE_BAR[0]
    else:
        holds = COVERAGE_BAR[0] <= coverage <= COVERAGE_BAR[1] and ratio is not None and ratio <= bar
    return {
        "scenario": scenario.name,
        "unit": "record" if scenario.records == 1 else f"subject of {scenario.records} records",
        "n_members": scenario.n_members,
        "n_nonmembers": scenario.n_nonmembers,
        "attacks": len(scenario.shifts),
        "metric": metric,
        "true": round(true, 6),
        "draws": int(estimate.size),
        "coverage": round(coverage, 4),
        "interval_below": round(float(np.mean(upper < true)), 4),
        "interval_above": round(float(np.mean(lower > true)), 4),
        "width": round(width, 5),
        "reference_width": round(float(high - low), 5),
        "ratio": None if ratio is None else round(float(ratio), 3),
        "ratio_bar": bar,
        "degenerate": bool(reason),
        "reason": reason,
        "holds": bool(holds),
    }


def study(scenarios: Sequence[Scenario], n_draws: int, seed: int = 0) -> Iterator[dict[str, Any]]:
    """A row per scenario and metric.

    With several attacks the estimand is the largest true value, and the interval reaches from the largest lower to the
    largest upper of their simultaneous bounds.
    """
    for scenario in scenarios:
        level = bonferroni(LEVEL, len(scenario.shifts))
        rng = stream(seed, f"coverage {scenario}")
        attacks = [simulate(scenario, shift, n_draws, level, rng) for shift in scenario.shifts]
        for metric in attacks[0]:
            largest = tuple(np.max([a[metric][i] for a in attacks], axis=0) for i in range(3))
            true = max(truth(scenario, shift, metric) for shift in scenario.shifts)
            yield row(scenario, metric, true, (largest[0], largest[1], largest[2]))


def all_scenarios() -> list[Scenario]:
    """What issue and design ask for: null, two leaks, ties, AUC near 1, people with several records."""
    scenarios = []
    for n in (200, 1000):
        scenarios += [Scenario(name, (d,), n, n) for name, d in (("null", 0.0), ("d' = 1", 1.0), ("d' = 2", 2.0))]
        scenarios.append(Scenario("ties: d' = 1, rounded to 0.25", (1.0,), n, n, step=0.25))
        scenarios.append(Scenario("ties: right or wrong, .8 against .6", (0.0,), n, n, fprs=(0.1,), right=(0.8, 0.6)))
        for records in (5, 10):
            scenarios += [
                Scenario(f"subjects, {name}", (d,), n, n, records=records)
                for name, d in (("null", 0.0), ("d' = 1", 1.0))
            ]
    scenarios += [Scenario("AUC near 1: d' = 4", (4.0,), n, n) for n in (200, 1000)]
    scenarios += [Scenario("d' = 1, unequal sides", (1.0,), m, n) for m, n in ((1000, 200), (100, 1000))]
    scenarios += [
        Scenario(name, (d,), 10_000, 10_000, fprs=(0.01, 0.001), area=False, at_threshold=False)
        for name, d in (("null", 0.0), ("d' = 1", 1.0), ("d' = 2", 2.0))
    ]
    for n, step in ((200, 1.0), (1000, 0.25), (1000, 1.0)):
        for above in (0.1, 0.102):
            scenarios += [
                Scenario(
                    f"ties of {step:g} at {above:g}, {name}", (d,), n, n, (0.1,), 1, step, above, None, False, False
                )
                for name, d in (("null", 0.0), ("d' = 1", 1.0), ("d' = 2", 2.0))
            ]
    for m, n in ((20, 20), (20, 180), (180, 20), (60, 60)):
        scenarios += [
            Scenario(f"right or wrong, {a:g} against {b:g}", (0.0,), m, n, (), right=(a, b))
            for a, b in ((0.8, 0.6), (0.5, 0.5), (0.3, 0.1), (0.1, 0.1))
        ]
        scenarios += [Scenario(f"few, d' = {d:g}", (d,), m, n, (), at_threshold=False) for d in (0.0, 1.0, 2.0, 3.5)]
        scenarios.append(Scenario("few, d' = 1, rounded to 1", (1.0,), m, n, (), step=1.0, at_threshold=False))
    scenarios.append(Scenario("six attacks, null", (0.0,) * 6, 200, 200))
    scenarios.append(Scenario("six attacks, d' = 1 each", (1.0,) * 6, 1000, 1000))
    scenarios.append(Scenario("six attacks, one at d' = 1", (1.0, *(0.0,) * 5), 1000, 1000))
    return scenarios


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=10_000)
    n_draws = parser.parse_args().draws
    rows = []
    for found in study(all_scenarios(), n_draws):
        rows.append(found)
        mark = "ok" if found["holds"] else "degenerate" if found["degenerate"] else "MISSED"
        print(
            f"{found['scenario']:36} {found['unit'][:13]:13} {found['n_members']:6} {found['metric']:22}"
            f"{found['true']:9.4f}{found['coverage']:8.4f}{found['interval_below']:8.4f}{found['interval_above']:8.4f}"
            f"{found['width']:9.4f}{found['reference_width']:9.4f}{found['ratio'] or np.nan:7.2f}  {mark}",
            flush=True,
        )
    head = {"level": LEVEL, "coverage_bar": COVERAGE_BAR, "ratio_bar": RATIO_BAR, "reference": REFERENCE}
    lines = ",\n  ".join(json.dumps(r) for r in rows)
    text = json.dumps(head, indent=1)[:-2] + f',\n "rows": [\n  {lines}\n ]\n}}\n'
    RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
