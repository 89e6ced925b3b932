"""Coverage of intervals at thresholds from the known half: `python -m tests.auditing.known_half_study`.

Each half sets the other's threshold, so the calls are not quite independent trials at a fixed threshold, as the
intervals suppose. This measures what that costs. The true value is the mean, over the audited units, of the rate at
the threshold each was judged by; the scores are unit-variance Gaussians, members' shifted by d'.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special

from vestige.auditing.results.operating_points import known_halves, operating_points
from vestige.auditing.results.rows import METRICS as OF_CALLS
from vestige.auditing.results.rows import count_calls
from vestige.core.options import Arithmetic
from vestige.evaluation.thresholds import decide
from vestige.evaluation.units import halves, make_units

RESULTS = Path(__file__).with_name("known_half.json")
METRICS = ("balanced_accuracy", "recall", "fpr")
N_CLASSES = 5


def study(shift: float, n_a_side: int, n_draws: int, seed: int = 0) -> list[dict[str, Any]]:
    """Coverage of every rule's intervals over `n_draws` samples."""
    rng = np.random.default_rng([seed, n_a_side, int(10 * shift)])
    member = np.arange(2 * n_a_side) < n_a_side
    units = make_units(None, member)
    seen: dict[tuple[str, str], list[tuple[bool, bool]]] = {}
    for _ in range(n_draws):
        scores = rng.normal(size=member.size) + shift * member
        labels = rng.integers(0, N_CLASSES, member.size)
        known = known_halves(units, labels, halves(units, rng))
        for point in operating_points("loss", "known_half", known, scores, labels, N_CLASSES, Arithmetic.STABLE):
            tpr = float(special.ndtr(shift - point.values[member]).mean())
            fpr = float(special.ndtr(-point.values[~member]).mean())
            truth = {"balanced_accuracy": (tpr + 1 - fpr) / 2, "recall": tpr, "fpr": fpr}
            counts = count_calls(decide(units, scores, point.values, point.strict), member)
            for metric in METRICS:
                bounds = OF_CALLS[metric].bounds(counts, 0.95)
                below, above = truth[metric] < float(bounds.lower), truth[metric] > float(bounds.upper)
                seen.setdefault((point.rule.threshold, metric), []).append((below, above))
    return [
        {
            "shift": shift,
            "n_a_side": n_a_side,
            "threshold": threshold,
            "metric": metric,
            "draws": n_draws,
            "coverage": round(1 - float(np.any(misses, axis=1).mean()), 4),
            "truth_below": round(float(np.mean([b for b, _ in misses])), 4),
            "truth_above": round(float(np.mean([a for _, a in misses])), 4),
        }
        for (threshold, metric), misses in seen.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=5_000)
    n_draws = parser.parse_args().draws
    rows = [r for shift in (0.0, 1.0, 2.0) for n in (200, 1000) for r in study(shift, n, n_draws)]
    for r in rows:
        print(*r.values(), sep="\t")
    RESULTS.write_text("[\n " + ",\n ".join(json.dumps(r) for r in rows) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
