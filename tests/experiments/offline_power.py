"""The learnt ratio without IN models, against other attacks that need none: a study of kept answers.

The records are split in two halves. K shadow models have one half as their pool; the other half is audited, by K models
that were not trained on the record. Both halves are audited in turn, and both models of each pair are targets.

`python -m tests.experiments.offline_power NAME --keep FOLDER` with the folder of `power`, where phi of the models lies.
Writes `results/power/offline-NAME.json`, anew after every pair.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tests.experiments.power import SETS, STORED, judge_what_is_stored
from tests.experiments.shadow_answers import kept
from tests.experiments.study import circumstances, row_of, written
from tests.experiments.targets_in_turn import ATTACKS, METRICS, Attack, rates_of, shadows_of

from vestige.attacks._learnt import fit_offline
from vestige.attacks.learnt_ratio import learnt_ratio_offline
from vestige.core.digests import digest_of_columns
from vestige.core.seeds import stream

N_PAIRS = 9
N_MODELS = {"location30": (8, 16, 64), "adult": (8, 16, 64), "mnist": (8, 16, 32)}
"""Data sets, and how many models the attacks have: half as many as were trained without a pair, at most."""
OTHERS: Mapping[str, Attack] = {
    name: ATTACKS[name]
    for name in (
        "empirical_bayes_offline", "lira_offline", "lira_offline_per_record", "base_score_offline",
        "calibration_loss", "attack_r",
    )
}  # fmt: skip
"""Attacks that read OUT models alone where nobody is IN."""


def out_of(phi: np.ndarray, is_in: np.ndarray) -> np.ndarray:
    """What those models of pairs answer about each record that were not trained on it."""
    order = np.argsort(is_in, axis=0, kind="stable")[: len(is_in) // 2]
    return np.take_along_axis(phi, order[:, :, None], axis=0)


def rates_of_pair(pair: int, n: int, phi: np.ndarray, is_in: np.ndarray, half: np.ndarray) -> dict[str, np.ndarray]:
    """Rates of every attack, means over both models of a pair and both halves."""
    found: dict[str, list[list[float]]] = {}
    shadows = shadows_of(pair, len(phi), 2 * n)
    few = shadows[:n]
    for pool in (half, ~half):
        of_pool = phi[few][:, pool], is_in[few][:, pool]
        learnt = fit_offline(*of_pool)
        theirs = out_of(phi[shadows][:, ~pool], is_in[shadows][:, ~pool])
        nobody = np.zeros(theirs.shape[:2], dtype=bool)
        for target in (2 * pair, 2 * pair + 1):
            own, member = phi[target][~pool], is_in[target][~pool]
            scores = {name: attack(own, theirs, nobody) for name, attack in OTHERS.items()}
            scores["learnt_ratio_offline"] = learnt_ratio_offline(own, theirs, nobody, *of_pool, fitted=learnt)
            for name, values in scores.items():
                rates = rates_of(values, member)
                found.setdefault(name, []).append([rates[metric] for metric in METRICS])
    return {name: np.mean(values, axis=0) for name, values in found.items()}


def run(name: str, folder: Path) -> None:
    answers = kept(folder, name, SETS[name][2])
    phi, is_in = answers.phi.astype(np.float64), answers.is_in
    half = stream(0, "pool of shadow models").permutation(phi.shape[1]) < phi.shape[1] // 2
    found: dict[str, list[np.ndarray]] = {}
    for pair in range(N_PAIRS):
        for n in N_MODELS[name]:
            for attack, rates in rates_of_pair(pair, n, phi, is_in, half).items():
                found.setdefault(f"{attack}, {n}", []).append(np.round(rates, 5))
        rows = [
            row_of(attack, {metric: np.array(rates)[:, i] for i, metric in enumerate(METRICS)})
            for attack, rates in sorted(found.items(), key=lambda one: int(one[0].rsplit(", ", 1)[1]))
        ]
        head: dict[str, Any] = {
            "data": name,
            "words": SETS[name][0],
            "published": None,
            "configuration": {"n_models": list(N_MODELS[name]), "n_pairs": pair + 1, "seed": 0},
            "digest": digest_of_columns({"phi": answers.phi, "is_in": is_in}),
        }
        written(head | circumstances() | {"rows": rows}, STORED / f"offline-{name}.json")
        print(f"pair {pair + 1} of {N_PAIRS}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.experiments.offline_power", description=__doc__)
    parser.add_argument("name", choices=N_MODELS)
    parser.add_argument("--keep", type=Path, required=True, help="where answers of models are kept")
    asked = parser.parse_args()
    run(asked.name, asked.keep)
    judge_what_is_stored()
