"""Imitators on Location30: what they add to shadow models, alone and beside the learnt ratio.

Nine targets, one of each of the first pairs of `location30`, are retrained with their seeds and asked for logits; eight
imitators of each, in four pairs of halves, learn them. The weight with which the imitators' score is added to the
learnt log-odds is found on two shadow models that play the target with imitators of their own, in two ways: by
likelihood, and as the one with the highest TPR at 1 % FPR. Nothing of the target's members is used.

`python -m tests.experiments.imitators FOLDER` with the folder of `study`, where phi of the 130 models lies.
"""

import json
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tests.experiments.settings import SETTINGS
from tests.experiments.shadow_answers import in_pairs, kept, train_and_ask
from tests.experiments.targets_in_turn import METRICS, mean_of, rates_of, shadows_of
from vestige.attacks._imitators import imitators

from vestige.attacks.empirical_bayes import empirical_bayes_online
from vestige.attacks.learnt_ratio import learnt_ratio
from vestige.core.drawn_together import remaining
from vestige.core.records import Records
from vestige.core.seeds import stream
from vestige.data.sets.designs import complementary_pairs
from vestige.signals.phi import phi_from_logits
from vestige.training.imitation import Imitation
from vestige.training.stacked import train_stack
from vestige.training.torch_recipe import TorchRecipe

N_TARGETS, N_SHADOWS, N_IMITATORS = 9, 8, 8
WEIGHTS = (0.25, 0.5, 1.0)
TRIED = (0.0, 0.25, 0.5, 1.0, 2.0)
STORED = Path(__file__).parents[2] / "results" / "power" / "imitators-location30.json"


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
    """Imitators of any of the models, trained when first asked for."""

    def __init__(self, recipe: TorchRecipe, records: Records, is_in: np.ndarray) -> None:
        self.recipe, self.records, self.is_in = recipe, records, is_in
        self.found: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self.seconds = 0.0

    def prepare(self, models: Sequence[int]) -> None:
        """Retrain the models with the seeds that they had, and ask them."""
        seeds = [int(stream(0, f"experiment, model {i}").integers(2**31)) for i in models]
        self.logits = dict(
            zip(models, logits_of_models(self.recipe, self.records, self.is_in[models], seeds), strict=True)
        )

    def of(self, model: int) -> tuple[np.ndarray, np.ndarray]:
        """Phi of the imitators, and on which records they were trained."""
        if model not in self.found:
            begun = time.perf_counter()
            halves = complementary_pairs(N_IMITATORS, self.records.n_records, seed=1000 + model)
            pool = self.records.answered(self.logits[model])
            seeds = [int(stream(model, f"imitator {i}").integers(2**31)) for i in range(N_IMITATORS)]
            answers = logits_of_models(replace(self.recipe, imitation=Imitation()), pool, halves, seeds)
            self.found[model] = self.phi(np.stack(answers)), halves
            self.seconds += time.perf_counter() - begun
        return self.found[model]

    def phi(self, logits: np.ndarray) -> np.ndarray:
        """Phi, of the records last."""
        return phi_from_logits(logits, np.broadcast_to(np.asarray(self.records.labels), logits.shape[:-1]))


def weight_of(learnt: np.ndarray, added: np.ndarray, side: np.ndarray) -> float:
    """Weight of the added score by logistic regression, with the learnt log-odds as they are and an intercept."""
    terms, found = np.stack([np.ones(len(added)), added], axis=1), np.zeros(2)
    for _ in range(30):
        p = 1 / (1 + np.exp(-(terms @ found + learnt)))
        step = np.linalg.solve((terms * (p * (1 - p))[:, None]).T @ terms + 1e-9 * np.eye(2), terms.T @ (side - p))
        found += step
        if np.abs(step).max() < 1e-8:
            break
    return float(found[1])


Known = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Of a shadow model that plays the target: learnt log-odds, the imitators' score, and the side of each record."""


def weights_of(known: Sequence[Known]) -> dict[str, float]:
    """The weight of the imitators' score by each way of finding it."""
    metric = METRICS[1]
    rates = [np.mean([rates_of(odds + w * added, side)[metric] for odds, added, side in known]) for w in TRIED]
    likely = weight_of(*(np.concatenate(part) for part in zip(*known, strict=True)))
    return {"likelihood": likely, "highest TPR at 1 %": TRIED[int(np.argmax(rates))]}


def played(
    target: int, phi: np.ndarray, is_in: np.ndarray, copied: Copied
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Scores of one target by each way, and the weights that were found."""
    own, shadows = copied.phi(copied.logits[target]), shadows_of(target // 2, len(phi), N_SHADOWS)
    scores = {}
    for n in (N_SHADOWS, 16, 128):
        chosen = shadows_of(target // 2, len(phi), n)
        scores[f"empirical_bayes_online, {n}"] = empirical_bayes_online(own, phi[chosen], is_in[chosen])
    theirs, sides = phi[shadows], is_in[shadows]
    learnt = learnt_ratio(own[:, None], theirs[:, :, None], sides)
    alone = imitators(own, theirs, sides, *copied.of(target))
    known: list[Known] = []
    for place in (0, 2):  # one model of each of the first two pairs plays the target
        left = remaining(sides, None, place)
        player = copied.phi(copied.logits[shadows[place]])
        odds = learnt_ratio(player[:, None], theirs[left][:, :, None], sides[left])
        known.append((odds, imitators(player, theirs[left], sides[left], *copied.of(shadows[place])), sides[place]))
    weights = weights_of(known)
    scores |= {"learnt_ratio, 8": learnt, "imitators, 8 and 8": alone}
    scores |= {f"learnt_ratio + {w:g} imitators, 8 and 8": learnt + w * alone for w in WEIGHTS}
    found = {f"learnt_ratio + imitators, 8 and 8, weight by {way}": learnt + w * alone for way, w in weights.items()}
    return scores | found, weights


def run(folder: Path, n_targets: int = N_TARGETS, say: Callable[[str], object] = print) -> dict[str, Any]:
    """Measure; phi of the shadow models is read from the folder, or trained and put there."""
    setting = SETTINGS["location30"]
    records, recipe = setting.records(), setting.recipe()
    is_in = in_pairs(setting.n_models, records.n_records)
    answers = kept(
        folder, "location30",
        lambda: train_and_ask(recipe, records, is_in, seed=0, strategy=setting.strategy),
    )  # fmt: skip
    phi, copied = answers.phi[:, :, 0].astype(np.float64), Copied(recipe, records, is_in)
    copied.prepare([2 * pair for pair in range(n_targets + 2)])
    found, weights, residuals = [], [], []
    for pair in range(n_targets):
        target = 2 * pair
        scores, weight = played(target, phi, is_in, copied)
        found.append({name: rates_of(score, is_in[target]) for name, score in scores.items()})
        weights.append(weight)
        residuals.append(explained(target, phi, is_in, copied))
        say(f"target {target}: weights {weight}, {copied.seconds:.0f} s")
    return {
        "data": "location30",
        "words": "nine targets of the models of location30, 8 shadow models and 8 imitators each; one target of a pair",
        "configuration": {"n_targets": n_targets, "n_shadows": N_SHADOWS, "n_imitators": N_IMITATORS},
        "imitator_seconds_each": round(copied.seconds / (N_IMITATORS * len(copied.found)), 2),
        "fitted_weights": {way: [round(w[way], 3) for w in weights] for way in weights[0]},
        "nonmembers": {name: round(float(np.mean([r[name] for r in residuals])), 3) for name in residuals[0]},
        "rows": [row_of(name, found) for name in found[0]],
    }  # fmt: skip


def explained(target: int, phi: np.ndarray, is_in: np.ndarray, copied: Copied) -> dict[str, float]:
    """How well OUT means of shadow models and of imitators foretell the target's phi of nonmembers."""
    own, shadows = copied.phi(copied.logits[target]), shadows_of(target // 2, len(phi), N_SHADOWS)
    out, told = ~is_in[target], {}
    for name, theirs, sides in (("shadows", phi[shadows], is_in[shadows]), ("imitators", *copied.of(target))):
        mean = np.where(sides, 0.0, theirs).sum(axis=0) / np.maximum((~sides).sum(axis=0), 1)
        told[f"correlation_{name}"] = float(np.corrcoef(own[out], mean[out])[0, 1])
        told[f"residual_std_{name}"] = float((own - mean)[out].std())
        told[f"member_shift_{name}"] = float((own - mean)[~out].mean() - (own - mean)[out].mean())
    return told


def row_of(name: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over targets, and differences to empirical Bayes with 8 and with 128 shadow models."""
    row: dict[str, Any] = {"score": name}
    for metric in METRICS:
        values = [f[name][metric] for f in found]
        row[metric] = rounded(values)
        for n in (8, 128):
            other = [f[f"empirical_bayes_online, {n}"][metric] for f in found]
            row[f"{metric} - empirical Bayes with {n}"] = rounded(np.subtract(values, other).tolist())
    return row


def rounded(values: Sequence[float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in vars(mean_of(np.asarray(values))).items()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    begun = time.perf_counter()
    n_targets = int(sys.argv[2]) if len(sys.argv) > 2 else N_TARGETS
    result = run(Path(sys.argv[1]), n_targets)
    result |= {
        "seconds": round(time.perf_counter() - begun),
        "versions": {"python": platform.python_version(), **{n: version(n) for n in ("numpy", "scipy", "torch")}},
        "measured": date.today().isoformat(),
    }
    if len(sys.argv) == 2:
        STORED.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for row in result["rows"]:
        print(row["score"], [row[m] for m in METRICS])
    print({k: v for k, v in result.items() if k != "rows"})
