"""Imitators that learn from labels alone: what they add to 8 shadow models of which only labels are seen.

The networks and their answers to noisy copies are those of `label_power`. The first of each pair is a target, and two
of its shadow models are imitated too: eight imitators of each, in four pairs of halves, learn how often the model gave
each class to the copies of a record, and are asked about the same copies.

`python -m tests.experiments.label_imitators NAME --keep FOLDER` with the folder of `label_power`; what imitators answer
is kept there too. Writes `results/power/label-imitators-NAME.json`.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tests.experiments.label_power import N_SHADOWS, STUDIES, _classes, _copies_of
from tests.experiments.power import STORED, judge_what_is_stored
from tests.experiments.settings import SETTINGS
from tests.experiments.shadow_answers import in_pairs
from tests.experiments.study import circumstances, row_of, written
from tests.experiments.targets_in_turn import METRICS, rates_of, shadows_of

from vestige.attacks.empirical_bayes import label_only_likelihood_ratio
from vestige.attacks.imitator_ratio import imitator_ratio, label_only_learnt_ratio_with_imitators
from vestige.attacks.learnt_ratio import label_only_learnt_ratio
from vestige.core.digests import digest_of_columns
from vestige.core.seeds import stream
from vestige.data.sets.designs import complementary_pairs
from vestige.signals.label_only.agreement import agreement
from vestige.training.imitation import Imitation, logits_of_counts
from vestige.training.stacked import train_stack

N_IMITATORS, N_PLAYERS, N_DRAWS = 8, 2, 100
STRENGTHS = {"location30": "flips-0.02"}
"""The strength of noise that the shadow models of all targets chose in `label_power`."""
WARM_UPS = (Imitation().warm_up,)
"""Shares of the epochs on labels alone, the default first."""


class Copied:
    """Models by their labels of noisy copies, and imitators of any of them."""

    def __init__(self, name: str, folder: Path) -> None:
        self.records, self.recipe, self.study = SETTINGS[name].records(), SETTINGS[name].recipe(), STUDIES[name]
        self.strength, self.folder, self.seconds = STRENGTHS[name], folder, 0.0
        self.labels = np.asarray(self.records.labels)
        self.classes = np.load(folder / f"{self.strength}.npy")[:, :, :N_DRAWS]
        self.is_in = in_pairs(len(self.classes), self.records.n_records)
        self.signal = self._signal(self.classes)
        self.halves = complementary_pairs(N_IMITATORS, self.records.n_records, seed=1000)

    def _signal(self, classes: np.ndarray) -> np.ndarray:
        return np.asarray(agreement(classes == self.labels[:, None]))

    def of(self, number: int, warm_up: float) -> np.ndarray:
        """The signal of a model's imitators, which are trained when first asked for."""
        path = self.folder / f"imitators-{self.strength}-{warm_up:g}-{number}.npz"
        if not path.exists():
            begun, n_classes = time.perf_counter(), self.records.n_classes
            counts = (self.classes[number][:, :, None] == np.arange(n_classes)).sum(axis=1)
            seeds = [int(stream(number, f"imitator {i}").integers(2**31)) for i in range(N_IMITATORS)]
            recipe = replace(self.recipe, imitation=Imitation(warm_up=warm_up))
            pool = self.records.answered(logits_of_counts(counts))
            models = []
            for model in train_stack(recipe, pool, self.halves, seeds=seeds):
                if isinstance(model, Exception):
                    raise model
                models.append(model.classifier.ready())
            seconds = time.perf_counter() - begun
            inputs, n = np.asarray(self.records.inputs), self.records.n_records
            make = _copies_of(inputs, self.labels, self.strength)
            with torch.inference_mode():
                answers = _classes(models, make, n, range(N_DRAWS), self.study.batch)
            np.savez(path, signal=self._signal(answers), seconds=[seconds, time.perf_counter() - begun])
        with np.load(path) as found:
            self.seconds += float(found["seconds"][0])
            return np.asarray(found["signal"])


def played(target: int, copied: Copied) -> dict[str, np.ndarray]:
    """Scores of one target."""
    signal, is_in, scores = copied.signal, copied.is_in, dict[str, np.ndarray]()
    for n in (N_SHADOWS, 16):
        some = shadows_of(target // 2, len(signal), n)
        given = signal[target], signal[some], is_in[some]
        scores[f"label_only_likelihood_ratio, {n}"] = label_only_likelihood_ratio(*given)
        scores[f"label_only_learnt_ratio, {n}"] = label_only_learnt_ratio(*given)
    shadows = shadows_of(target // 2, len(signal), N_SHADOWS)
    players = np.arange(0, 2 * N_PLAYERS, 2)
    given = signal[target], signal[shadows], is_in[shadows]
    for warm_up in WARM_UPS:
        own, of_players = copied.of(target, warm_up), [copied.of(shadows[place], warm_up) for place in players]
        of_imitators = own, copied.halves, np.stack(of_players), players
        which = "8 + 8" if warm_up == WARM_UPS[0] else f"8 + 8, warm-up {warm_up:g}"
        scores[f"imitator_ratio of the share, {which}"] = imitator_ratio(*given, *of_imitators[:2])
        scores[f"label_only_learnt_ratio_with_imitators, {which}"] = label_only_learnt_ratio_with_imitators(
            *given, *of_imitators
        )
    return scores


def run(name: str, folder: Path) -> dict[str, Any]:
    copied, found = Copied(name, folder), []
    for target in range(0, len(copied.signal), 2):
        scores = played(target, copied)
        found.append({score: rates_of(values, copied.is_in[target]) for score, values in scores.items()})
        print(f"target {target}, {copied.seconds:.0f} s of imitators", flush=True)
    rates = {a: {m: np.round([f[a][m] for f in found], 5) for m in METRICS} for a in found[0]}
    return {
        "data": name,
        "words": SETTINGS[name].words,
        "published": None,
        "configuration": {
            "n_targets": len(found), "n_shadows": N_SHADOWS, "n_imitators": N_IMITATORS, "n_players": N_PLAYERS,
            "alpha": Imitation().alpha, "warm_up": list(WARM_UPS), "copies": f"{N_DRAWS} of {copied.strength}",
        },
        "digest": digest_of_columns({"classes": copied.classes, "is_in": copied.is_in}),
        "seconds_of_eight_imitators": round(copied.seconds / max(1, len(found) * len(WARM_UPS) * (1 + N_PLAYERS)), 1),
        "rows": [row_of(attack, metrics) for attack, metrics in rates.items()],
    } | circumstances()  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.experiments.label_imitators", description=__doc__)
    parser.add_argument("name", choices=STRENGTHS)
    parser.add_argument("--keep", type=Path, required=True, help="where networks and answers of models are kept")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    written(run(asked.name, asked.keep / asked.name), STORED / f"label-imitators-{asked.name}.json")
    judge_what_is_stored()
