"""Does the learnt ratio find members where nothing leaks?

From the root: `python -m tests.attacks.learnt_ratio_null_study`; writes `learnt_ratio_null.json` beside this file: half
an hour on one core. 8 shadow models (18 in groups), three designs, two sizes, three kinds of answers.
"""

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
from scipy.stats import beta, mannwhitneyu

from vestige.attacks.learnt_ratio import learnt_ratio
from vestige.data.sets.designs import balanced_groups, complementary_pairs
from vestige.evaluation.intervals import auc_interval
from vestige.evaluation.roc import roc

DRAWS = 5_000


def designed(design: str, n: int, seed: int) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Training sets of the shadow models, their groups, and of the target."""
    rng = np.random.default_rng(seed)
    if design == "pairs":
        return complementary_pairs(8, n, seed=seed), None, rng.permutation(n) < n // 2
    if design == "groups":
        return balanced_groups(9, n, share=Fraction(2, 3), seed=seed), np.repeat(np.arange(3), 3), rng.random(n) < 2 / 3
    return rng.random((8, n)) < 0.5, None, rng.random(n) < 0.5


def answered(kind: str, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Phi that do not depend on training sets: heavy tails, spreads of each record's own, or saturated at 12."""
    n = shape[1]
    level = rng.normal(1, 2, n)
    if kind == "heavy tails":
        return level + rng.standard_t(2, size=shape)
    if kind == "own spreads":
        return level + np.exp(rng.normal(0, 1, n)) * rng.normal(size=shape)
    return np.clip(level * 8 + 4 * rng.normal(size=shape), -12, 12)


def of_design(design: str, n: int, kind: str) -> dict[str, object]:
    def scored(draw: int) -> tuple[np.ndarray, np.ndarray]:
        is_in, groups, member = designed(design, n, draw)
        phi = answered(kind, (len(is_in) + 1, n), np.random.default_rng([draw, n]))
        return learnt_ratio(phi[0][:, None], phi[1:, :, None], is_in, groups=groups), member

    return {"design": design, "n_records": n, "answers": kind, **tested(DRAWS, scored)}


def tested(draws: int, scored: Callable[[int], tuple[np.ndarray, np.ndarray]]) -> dict[str, object]:
    """Areas, rejections by a rank test and coverage over draws, each of which gives scores and who is a member."""
    areas, rejected, covered = np.empty(draws), 0, 0
    for draw in range(draws):
        scores, member = scored(draw)
        curve = roc(scores[member], scores[~member])
        areas[draw] = curve.auc
        rejected += mannwhitneyu(scores[member], scores[~member], alternative="greater").pvalue <= 0.05
        interval = auc_interval(curve)
        covered += interval.lower <= 0.5 <= interval.upper
    return {
        "draws": draws,
        "auc": round(float(areas.mean()), 5),
        "auc_error": round(float(areas.std(ddof=1) / np.sqrt(draws)), 5),
        "rejected": int(rejected),
        "rejected_upper": round(float(beta.ppf(0.95, rejected + 1, draws - rejected)), 4),
        "auc_coverage": round(covered / draws, 4),
    }


def main() -> None:
    found = []
    for design in ("pairs", "groups", "Bernoulli"):
        for n in (200, 1_000):
            for kind in ("heavy tails", "own spreads", "saturated"):
                found.append(of_design(design, n, kind))
                print(found[-1], flush=True)
    rejected, draws = sum(int(str(d["rejected"])) for d in found), DRAWS * len(found)
    upper = round(float(beta.ppf(0.95, rejected + 1, draws - rejected)), 4)
    text = json.dumps({"rejected_upper": upper, "designs": found}, indent=1)
    (Path(__file__).parent / "learnt_ratio_null.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
