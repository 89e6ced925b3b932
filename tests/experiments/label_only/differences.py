"""From scores of a source and a target to balanced accuracies, areas, and their paired differences with intervals.

Intervals are percentiles of a bootstrap over the target's records, members and nonmembers apart, the same draws for
all attacks that are compared. The models, and what was chosen on the source, stay as they are: an interval is about
these two models, not about other trainings.
"""

from typing import Any

import numpy as np
from tests.experiments.label_only.settings import Setting
from tests.experiments.verdicts import as_stored

from vestige.core.seeds import stream
from vestige.evaluation.strength import choose_on_source
from vestige.papers.reproduction.verdicts import Evidence, verdicts

N_DRAWS, LEVEL, SEED = 2_000, 0.95, 0
METRICS = ("balanced_accuracy", "auc")
PAIRS = (
    ("combined", "distance at the queries of a copy"),
    ("combined", "distance"),
    ("distance", "gap"),
    ("surfree", "gap"),
    ("augmentation", "gap"),
    ("noise", "gap"),
    ("noise as published", "gap"),
    ("confidence", "gap"),
    ("confidence", "distance"),
    ("confidence", "noise"),
    ("confidence", "noise as published"),
    ("distance", "noise"),
    ("distance", "augmentation"),
)


class Judged:
    """One attack on some records of the target, with the threshold of the same attack on the source."""

    def __init__(self, source: np.ndarray, target: np.ndarray, member: np.ndarray) -> None:
        rows = np.isfinite(target)
        source, target = source.astype(np.float64), target.astype(np.float64)
        seen = np.isfinite(source)
        self.threshold = choose_on_source([source[seen]], member[seen]).threshold
        self.target, self.member, self.rows = target, member, rows

    def draws(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Each metric on these records: as they are, then redrawn."""
        inside, outside = self.target[rows & self.member], self.target[rows & ~self.member]
        m, n = len(inside), len(outside)
        of_m, of_n = weights(m, n)
        above = np.sign(inside[:, None] - outside[None, :]) / 2 + 0.5
        balanced = (of_m @ (inside > self.threshold) / m + of_n @ (outside <= self.threshold) / n) / 2
        return {"balanced_accuracy": balanced, "auc": ((of_m @ above) * of_n).sum(axis=1) / (m * n)}


def weights(m: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """How often each member and each nonmember is drawn: once, then in every draw."""
    rng = stream(SEED, "P3, bootstrap over records")
    return tuple(np.concatenate([np.ones((1, k)), rng.multinomial(k, np.full(k, 1 / k), size=N_DRAWS)]) for k in (m, n))  # type: ignore[return-value]


def interval(values: np.ndarray) -> dict[str, float]:
    lower, upper = np.quantile(values[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return {"value": round(float(values[0]), 4), "lower": round(float(lower), 4), "upper": round(float(upper), 4)}


def said(unmet: str) -> dict[str, Any]:
    """What may be concluded of a published difference from one target and one source: that they are one pair."""
    [told] = verdicts([Evidence(agrees=False, p_against=1.0, n_trials=1, unit="pair", unmet=unmet)])
    return as_stored(told)


def compared(scores: dict[str, np.ndarray], n_side: int, setting: Setting) -> dict[str, list[dict[str, Any]]]:
    """All attacks, the pairs that are there, and what budgets do."""
    member = np.repeat([True, False], n_side)
    names = [name.removeprefix("target, ") for name in scores if name.startswith("target, ")]
    judged = {name: Judged(scores[f"source, {name}"], scores[f"target, {name}"], member) for name in names}
    if "combined" in judged:
        judged["distance at the queries of a copy"] = judged[f"distance, {setting.of_copy}"]
    rows, power = [], []
    for name in names:
        of = judged[name]
        found = {metric: interval(draws) for metric, draws in of.draws(of.rows).items()}
        kind, _, budget = name.partition(", ")
        if budget:
            power.append({"attack": kind, "n_queries": int(budget), **found})
        else:
            rows.append({"attack": name, "n_records": int(of.rows.sum()), "threshold": of.threshold, **found})
    differences = []
    for better, other in PAIRS:
        if better not in judged or other not in judged:
            continue
        both = judged[better].rows & judged[other].rows
        ours, theirs = (judged[name].draws(both) for name in (better, other))
        # Choquette-Choo et al. give each copy as many queries as the distance it compares with.
        as_in_the_paper = (
            {"distance at the queries of a copy": "distance", "distance": ""} if better == "combined" else {}
        )
        known = setting.published.get((better, as_in_the_paper.get(other, other)))
        for metric in METRICS:
            row: dict[str, Any] = {"better": better, "other": other, "metric": metric, "n_records": int(both.sum())}
            row |= interval(ours[metric] - theirs[metric])
            if known is not None and metric == "balanced_accuracy":
                row |= {"published": known} | said(setting.unmet)
            elif known:  # Choquette-Choo et al. have no areas: their order is compared
                row |= said(setting.unmet)
            differences.append(row)
    return {
        "rows": rows,
        "differences": differences,
        "power": sorted(power, key=lambda r: (r["attack"], r["n_queries"])),
    }
