"""Imitators: what they add to 8 shadow models, alone and with the learnt ratio, against more shadow models.

Targets, one of each of the first pairs of a setting, are retrained with their seeds and asked for logits; eight
imitators of each, in four pairs of halves, learn them. Two shadow models of each target are imitated too.

`python -m tests.experiments.imitators NAME --keep FOLDER` with the folder of `power`, where phi of the models lies;
what imitators answer is kept there too. Writes `results/power/imitators-NAME.json`.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tests.experiments.power import SETS, STORED, judge_what_is_stored
from tests.experiments.settings import SETTINGS
from tests.experiments.shadow_answers import kept
from tests.experiments.study import circumstances, row_of, written
from tests.experiments.targets_in_turn import METRICS, rates_of, shadows_of

from vestige.attacks.empirical_bayes import empirical_bayes_online
from vestige.attacks.imitator_ratio import imitator_ratio, learnt_ratio_with_imitators
from vestige.attacks.learnt_ratio import learnt_ratio
from vestige.core.digests import digest_of_columns
from vestige.core.records import Records
from vestige.core.seeds import stream
from vestige.data.sets.designs import complementary_pairs
from vestige.signals.phi import phi_from_logits
from vestige.training.imitation import Imitation
from vestige.training.stacked import train_stack
from vestige.training.torch_recipe import TorchRecipe

N_SHADOWS, N_IMITATORS, N_PLAYERS = 8, 8, 2
TARGETS = {"location30": 20, "adult": 9, "mnist": 9}
"""Data sets, and how many targets of each: one of a pair."""


def logits_of_models(
    recipe: TorchRecipe, records: Records, is_in: np.ndarray, seeds: Sequence[int]
) -> list[np.ndarray]:
    """What models, trained as one stack, answer about all records."""
    inputs, answers = torch.from_numpy(np.asarray(records.inputs)), []
    for model in train_stack(recipe, records, is_in, seeds=seeds):
        if isinstance(model, Exception):
            raise model
        with torch.inference_mode():
            answers.append(model.classifier(inputs).numpy())
    return answers


class Copied:
    """Imitators of any of the models: phi of the model itself, of its imitators, and their halves."""

    def __init__(self, name: str, folder: Path, is_in: np.ndarray, epochs: float) -> None:
        setting = SETTINGS[name]
        self.records, self.recipe, self.is_in = setting.records(), setting.recipe(), is_in
        # A rule of stopping could end before imitation begins: as many epochs as the models took.
        plain = replace(self.recipe, stop=None, epochs=round(epochs)) if self.recipe.stop else self.recipe
        self.imitator = replace(plain, imitation=Imitation())
        self.folder, self.seconds = folder / f"imitators-{name}", 0.0
        self.halves = complementary_pairs(N_IMITATORS, self.records.n_records, seed=1000)

    def of(self, model: int) -> tuple[np.ndarray, np.ndarray]:
        """Phi of the model and of its imitators; trained when first asked for."""
        path = self.folder / f"{model}.npz"
        if not path.exists():
            seed = int(stream(0, f"experiment, model {model}").integers(2**31))
            (logits,) = logits_of_models(self.recipe, self.records, self.is_in[[model]], [seed])
            begun = time.perf_counter()
            seeds = [int(stream(model, f"imitator {i}").integers(2**31)) for i in range(N_IMITATORS)]
            answers = logits_of_models(self.imitator, self.records.answered(logits), self.halves, seeds)
            seconds = time.perf_counter() - begun
            self.folder.mkdir(parents=True, exist_ok=True)
            np.savez(path, own=self._phi(logits), imitators=self._phi(np.stack(answers)), seconds=seconds)
        with np.load(path) as found:
            self.seconds += float(found["seconds"])
            return found["own"], found["imitators"]

    def _phi(self, logits: np.ndarray) -> np.ndarray:
        return phi_from_logits(logits, np.broadcast_to(np.asarray(self.records.labels), logits.shape[:-1]))


def played(target: int, phi: np.ndarray, is_in: np.ndarray, copied: Copied) -> dict[str, np.ndarray]:
    """Scores of one target."""
    pair = target // 2
    own, copies = copied.of(target)
    shadows = shadows_of(pair, len(phi), N_SHADOWS)
    scores = {}
    for n in (8, 16, 32, 64, 128):
        if n <= len(phi) - 2:
            chosen = shadows_of(pair, len(phi), n)
            scores[f"empirical_bayes_online, {n}"] = empirical_bayes_online(own, phi[chosen], is_in[chosen])
    players = np.arange(0, 2 * N_PLAYERS, 2)  # the first of each of the first pairs
    theirs, sides = phi[shadows].copy(), is_in[shadows]
    of_players = []
    for place in players:  # as they answered when they were trained again, which may differ by rounding
        theirs[place], of_player = copied.of(shadows[place])
        of_players.append(of_player)
    given = own[:, None], theirs[:, :, None], sides
    scores["learnt_ratio, 8"] = learnt_ratio(*given)
    scores["imitator_ratio, 8 + 8"] = imitator_ratio(own, theirs, sides, copies, copied.halves)
    of_imitators = copies, copied.halves, np.stack(of_players), players
    scores["learnt_ratio_with_imitators, 8 + 8"] = learnt_ratio_with_imitators(*given, *of_imitators)
    return scores


def run(name: str, folder: Path) -> dict[str, Any]:
    answers = kept(folder, name, SETS[name][2])
    phi, is_in, n_targets = answers.phi[:, :, 0].astype(np.float64), answers.is_in, TARGETS[name]
    copied, found = Copied(name, folder, is_in, float(answers.epochs.mean())), []
    for pair in range(n_targets):
        scores = played(2 * pair, phi, is_in, copied)
        found.append({score: rates_of(values, is_in[2 * pair]) for score, values in scores.items()})
        print(f"target {pair + 1} of {n_targets}, {copied.seconds:.0f} s of imitators", flush=True)
    rates = {a: {m: np.round([f[a][m] for f in found], 5) for m in METRICS} for a in found[0]}
    n_trained = len(list(copied.folder.glob("*.npz")))
    return {
        "data": name,
        "words": SETTINGS[name].words,
        "published": None,
        "configuration": {
            "n_targets": n_targets, "n_shadows": N_SHADOWS, "n_imitators": N_IMITATORS, "n_players": N_PLAYERS,
            "alpha": Imitation().alpha, "warm_up": Imitation().warm_up,
        },
        "digest": digest_of_columns({"phi": answers.phi, "is_in": is_in}),
        "seconds_of_eight_imitators": round(copied.seconds / max(1, n_targets * (1 + N_PLAYERS)), 1),
        "imitated": n_trained,
        "rows": [row_of(attack, metrics) for attack, metrics in rates.items()],
    } | circumstances()  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.experiments.imitators", description=__doc__)
    parser.add_argument("name", choices=TARGETS)
    parser.add_argument("--keep", type=Path, required=True, help="where answers of models are kept")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    written(run(asked.name, asked.keep), STORED / f"imitators-{asked.name}.json")
    judge_what_is_stored()
