"""Its tables on real data: `VESTIGE_DATA=... python -m tests.experiments.label_only.study NAME [--keep FOLDER]`.

A target and a source model are trained on disjoint records. Each is asked about equally many members and nonmembers;
thresholds and strengths are chosen on the source and used on the target as they are. Scores of all records are in
`results/experiments/label-only/NAME.npz`, what is read from them in `NAME.json` beside. With `--keep` each signal is
put into a folder as soon as it is there, and a study that was stopped goes on from it.
"""

import argparse
import functools
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tests.experiments.label_only.differences import compared
from tests.experiments.label_only.settings import SETTINGS, Setting, standardised
from tests.experiments.study import circumstances

from vestige.attacks.augmentation_count import augmentation_count
from vestige.attacks.boundary_distance import boundary_distance
from vestige.attacks.correctness import correctness
from vestige.attacks.noise_robustness import noise_robustness
from vestige.core.inputs import InputSpace
from vestige.core.records import Records
from vestige.core.seeds import stream
from vestige.data.sets.named import load
from vestige.evaluation.strength import choose_on_source
from vestige.signals.boundary import BUDGETS, BoundaryDistances, Starts, distances_of_copies, hop_skip_jump, surfree
from vestige.signals.label_only.noise import noise_labels
from vestige.signals.label_only.rotations import rotation_labels
from vestige.signals.label_only.translations import translated, translation_labels
from vestige.training.torch_recipe import TorchRecipe

RESULTS = Path(__file__).parents[3] / "results" / "experiments" / "label-only"
SEED, N_QUERIES = 0, 2_500
POWER = tuple(b for b in BUDGETS if b <= N_QUERIES)
ROTATIONS, TRANSLATIONS = tuple(range(1, 16)), (1, 2, 3)
MODELS = ("source", "target")

Scores = dict[str, np.ndarray]


class Labels:
    """A network that answers with labels; images are asked about as rows x columns x channels in [0, 1]."""

    def __init__(self, network: torch.nn.Module, n_classes: int, *, is_images: bool) -> None:
        self.network, self.n_classes, self._is_images, self.n_queries = network.eval(), n_classes, is_images, 0
        if is_images:
            self.network = self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def logits(self, inputs: Any) -> np.ndarray:
        found = []
        with torch.inference_mode():
            for part in torch.from_numpy(np.asarray(inputs, dtype=np.float32)).split(512 if self._is_images else 8192):
                found.append(self.network(part.permute(0, 3, 1, 2) if self._is_images else part).numpy())
        return np.concatenate(found)

    def labels(self, inputs: Any, records: np.ndarray) -> np.ndarray:
        self.n_queries += len(records)
        return np.asarray(self.logits(inputs).argmax(axis=1))


class Asked:
    """One model and the records it is asked about, members first."""

    def __init__(self, setting: Setting, recipe: TorchRecipe, pool: Records, members: Any, others: Any, seed: int):
        began = time.perf_counter()
        model = recipe.fit(pool.take(members), seed=seed)
        self.epoch, self.seconds = model.epoch, time.perf_counter() - began
        classifier = model.classifier
        make = functools.partial(Labels, n_classes=pool.n_classes, is_images=setting.is_images)
        self.near = make(classifier.network)  # in the unit of distances
        self.target = self.near if setting.is_images else make(classifier)
        rows = np.concatenate([members[: setting.n_side], others[: setting.n_side]])
        self.inputs, self.labels = inputs_of(setting, pool, rows), np.asarray(pool.labels)[rows]
        self.records = rows
        self.accuracy = [
            float((self.target.logits(inputs_of(setting, pool, at)).argmax(axis=1) == pool.labels[at]).mean())
            for at in (members, others)
        ]
        self.predicted = self.target.logits(self.inputs).argmax(axis=1)


def inputs_of(setting: Setting, pool: Records, rows: np.ndarray) -> np.ndarray:
    """Rows in the unit that is asked about."""
    values = np.asarray(pool.inputs)[rows].astype(np.float32)
    return np.asarray(values / np.float32(255) if setting.is_images else values)


def asked_models(setting: Setting) -> tuple[dict[str, Asked], np.ndarray]:
    """Train both models; return them and what noise, features' ranges and starts are taken from: the source's."""
    pool = load(setting.data)
    order, n = (
        stream(SEED, f"P3, records of {setting.data.replace('-choquette-choo', '-p3')}").permutation(pool.n_records),
        setting.n_training,
    )
    rest = np.array_split(order[2 * n :][: 4 * max(n, 2 * setting.n_side)], 2)
    models = {
        name: Asked(setting, setting.recipe(), pool, order[i * n : (i + 1) * n], rest[i], seed=i)
        for i, name in enumerate(MODELS)
    }
    return models, pool.inputs if setting.standardised else inputs_of(setting, pool, order[:n])


def combined(copies: np.ndarray, of_source: np.ndarray) -> np.ndarray:
    """The mean over copies of the distance, standardised by the source's; beyond its farthest nobody counts more."""
    farthest = of_source[np.isfinite(of_source)].max()
    copies, of_source = np.minimum(copies, farthest), np.minimum(of_source, farthest)
    return np.asarray(((copies - of_source.mean(axis=0)) / of_source.std(axis=0)).mean(axis=1))


class Study:
    """All signals of one data set, one after another, each kept as soon as it is there."""

    def __init__(self, name: str, setting: Setting, keep: Path | None = None, say: Callable[[str], Any] = print):
        self.name, self.setting, self.keep, self.say = name, setting, keep, say
        began = time.perf_counter()
        self.models, self.pool = asked_models(setting)
        self.seconds = {"training": time.perf_counter() - began}
        self.member = np.repeat([True, False], setting.n_side)
        self.scores: Scores = {}
        self.chosen: dict[str, Any] = {}

    def step(self, what: str, make: Callable[[], np.ndarray]) -> np.ndarray:
        s, words = self.setting, what.replace(", ", "-")
        sizes = f"{s.n_training}-{s.n_side}-{s.n_combined}-{s.n_choice}-{s.n_noise}-{s.surfree}-{s.of_copy}"
        path = None if self.keep is None else self.keep / f"p3-{self.name}-{sizes}-{words}.npz"
        if path is not None and path.exists():
            with np.load(path) as stored:
                found, seconds = np.asarray(stored["found"]), float(stored["seconds"])
        else:
            began = time.perf_counter()
            found = make()
            seconds = time.perf_counter() - began
            if path is not None:
                np.savez(path, found=found, seconds=seconds)
            self.say(f"{self.name}, {what}: {seconds:.0f} s")
        kind = what.split(", ")[1]
        self.seconds[kind] = self.seconds.get(kind, 0.0) + seconds
        return found

    def put(self, attack: str, source: np.ndarray, target: np.ndarray) -> None:
        for model, scores in zip(MODELS, (source, target), strict=True):
            self.scores[f"{model}, {attack}"] = scores.astype(np.float32)

    def of_both(self, attack: str, score: Callable[[str, Asked], np.ndarray]) -> None:
        self.put(attack, *(score(name, self.models[name]) for name in MODELS))

    def best(self, attack: str, tried: tuple[Any, ...], scores: dict[str, list[np.ndarray]]) -> int:
        choice = choose_on_source(scores["source"], self.member)
        self.chosen[attack] = str(tried[choice.strength])
        return choice.strength

    def run(self) -> Scores:
        self.of_both("gap", lambda _, m: correctness(m.predicted, m.labels))
        self.of_both("confidence", lambda _, m: _log_confidence(m.target.logits(m.inputs), m.labels))
        self.noise()
        if self.setting.is_images:
            self.augmentations()
        self.distances()
        if self.setting.is_images:
            self.combination()
        return self.scores

    def noise(self) -> None:
        s = self.setting
        correct: dict[str, list[np.ndarray]] = {name: [] for name in MODELS}
        for i, strength in enumerate(s.strengths):
            for name in MODELS:
                ask = functools.partial(self.noisy, name, strength, s.n_choice)
                correct[name].append(self.step(f"{name}, noise, {i}", ask))
        share = {name: [self.robust(name, c) for c in correct[name]] for name in MODELS}
        best = self.best("noise", s.strengths, share)
        found = {name: correct[name][best] for name in MODELS}
        if s.n_noise > s.n_choice:
            for name in MODELS:
                ask = functools.partial(self.noisy, name, s.strengths[best], s.n_noise)
                found[name] = self.step(f"{name}, noise, chosen", ask)
        self.put("noise", *(self.robust(name, found[name]) for name in MODELS))
        for b in (b for b in POWER if b <= s.n_noise):
            self.put(f"noise, {b}", *(self.robust(name, found[name][:, :b]) for name in MODELS))
        if s.standardised:
            best = self.best("noise as published", s.strengths[:3], {"source": share["source"][:3]})
            self.put("noise as published", *(share[name][best] for name in MODELS))

    def noisy(self, name: str, strength: Any, n_draws: int) -> np.ndarray:
        m = self.models[name]
        return noise_labels(
            m.target, m.inputs, m.labels, m.records, self.setting.space, strength, n_draws, SEED, pool=self.pool
        )

    def robust(self, name: str, correct: np.ndarray) -> np.ndarray:
        m = self.models[name]
        return noise_robustness(correct, m.predicted, m.labels)

    def augmentations(self) -> None:
        tried = (*(("rotation", r) for r in ROTATIONS), *(("translation", d) for d in TRANSLATIONS))
        ways: dict[str, Callable[..., np.ndarray]] = {"rotation": rotation_labels, "translation": translation_labels}
        counts: dict[str, list[np.ndarray]] = {name: [] for name in MODELS}
        for kind, size in tried:
            for name, m in self.models.items():
                ask = functools.partial(ways[kind], m.target, m.inputs, m.labels, m.records, size)
                counts[name].append(augmentation_count(self.step(f"{name}, {kind}, {size}", ask)))
        for kind in ways:
            at = [i for i, (of, _) in enumerate(tried) if of == kind]
            best = at[self.best(kind, tuple(tried[i] for i in at), {"source": [counts["source"][i] for i in at]})]
            self.put(kind, *(counts[name][best] for name in MODELS))
        best = self.best("augmentation", tried, counts)
        self.put("augmentation", *(counts[name][best] for name in MODELS))

    def near(self, name: str) -> np.ndarray:
        inputs = self.models[name].inputs
        return standardised(inputs) if self.setting.standardised else inputs

    def bounds(self) -> tuple[Any, Any]:
        return InputSpace().bounds(standardised(np.asarray(self.pool))) if self.setting.standardised else (0.0, 1.0)

    def starts(self) -> Starts:
        return Starts(self.near("source"), self.models["source"].labels)

    def distances(self) -> None:
        for attack, estimator, most in (
            ("distance", hop_skip_jump, N_QUERIES),
            ("surfree", surfree, self.setting.surfree),
        ):
            budgets = tuple(b for b in POWER if b <= most)
            found = {}
            for name in MODELS:
                ask = functools.partial(self.traced, name, estimator, most, budgets)
                found[name] = boundary_distance(self.step(f"{name}, {attack}", ask).ravel()).reshape(-1, len(budgets))
            self.put(attack, *(found[name][:, -1] for name in MODELS))
            for i, b in enumerate(budgets):
                self.put(f"{attack}, {b}", *(found[name][:, i] for name in MODELS))

    def traced(self, name: str, estimator: Callable[..., BoundaryDistances], most: int, budgets: Any) -> np.ndarray:
        m = self.models[name]
        found = estimator(
            m.near, self.near(name), m.labels, m.records, self.bounds(), n_queries=most, seed=SEED,
            starts=self.starts(), budgets=budgets,
        )  # fmt: skip
        assert budgets[-1] == most
        return found.trace

    def combination(self) -> None:
        """Of the first records of each side: all translates by a pixel, the image itself among them."""
        s, copies = self.setting, {}
        rows = np.concatenate([np.arange(s.n_combined), s.n_side + np.arange(s.n_combined)])
        for name, m in self.models.items():
            ask = functools.partial(
                distances_of_copies, hop_skip_jump, m.near, translated(m.inputs[rows], 1)[:, 1:], m.labels[rows],
                m.records[rows], (0.0, 1.0), n_queries=s.of_copy, seed=SEED, starts=self.starts(),
            )  # fmt: skip
            shifted = self.step(f"{name}, combined", ask)
            itself = self.scores[f"{name}, distance, {s.of_copy}"][rows]
            copies[name] = np.column_stack([np.where(itself > 1e29, np.inf, itself), shifted])
        all_scores = []
        for name in MODELS:
            scores = np.full(2 * s.n_side, np.nan)
            scores[rows] = combined(copies[name], copies["source"])
            all_scores.append(scores)
        self.put("combined", *all_scores)


def _log_confidence(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Log-odds of the true class: ordered as its probability, without its rounding to 1."""
    own = logits[np.arange(len(labels)), labels].astype(np.float64)
    others = logits.astype(np.float64)
    others[np.arange(len(labels)), labels] = -np.inf
    return np.asarray(own - np.logaddexp.reduce(others, axis=1))


def run(name: str, keep: Path | None = None, setting: Setting | None = None) -> tuple[dict[str, Any], Scores]:
    s = SETTINGS[name] if setting is None else setting
    study = Study(name, s, keep)
    scores = study.run()
    return {
        "data": name,
        "words": s.words,
        "configuration": {
            "n_training": s.n_training,
            "n_side": s.n_side,
            "n_combined": s.n_combined,
            "hop_skip_jump_queries": N_QUERIES,
            "surfree_queries": s.surfree,
            "noise_queries": s.n_noise,
            "noise_queries_of_choice": s.n_choice,
            "strengths": [str(strength) for strength in s.strengths],
            "combined": f"{s.of_copy} queries of each of 5 translates, HopSkipJump" if s.is_images else "none",
            "unit_of_distances": "standard deviations" if s.standardised else "range of the inputs",
            "threshold": "strict, of best balanced accuracy on the source",
            "seed": SEED,
        },
        "models": {
            of: {"training_accuracy": round(m.accuracy[0], 4), "test_accuracy": round(m.accuracy[1], 4),
                 "epochs": m.epoch}
            for of, m in study.models.items()
        },
        "chosen_on_source": study.chosen,
        "seconds": {kind: round(seconds, 1) for kind, seconds in study.seconds.items()},
        **circumstances(),
        **compared(scores, s.n_side, s),
    }, scores  # fmt: skip


def written(result: dict[str, Any], scores: Scores, folder: Path = RESULTS) -> None:
    """Scores as they are, and a line per row."""
    np.savez_compressed(folder / f"{result['data']}.npz", **scores)  # type: ignore[arg-type]
    lists = {key: value for key, value in result.items() if key in ("rows", "differences", "power")}
    head = json.dumps({key: value for key, value in result.items() if key not in lists}, indent=1)[:-2]
    for key, values in lists.items():
        head += f',\n "{key}": [\n  ' + ",\n  ".join(json.dumps(value) for value in values) + "\n ]"
    (folder / f"{result['data']}.json").write_text(head + "\n}\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.experiments.label_only.study", description=__doc__)
    parser.add_argument("name", choices=list(SETTINGS))
    parser.add_argument("--keep", type=Path, help="where signals are kept")
    parser.add_argument("--side", type=int, help="members, and nonmembers, in place of the setting's")
    asked = parser.parse_args()
    setting = SETTINGS[asked.name]
    if asked.side:
        setting = replace(setting, n_side=asked.side, n_combined=min(setting.n_combined, asked.side))
    if asked.keep:
        asked.keep.mkdir(parents=True, exist_ok=True)
    result, scores = run(asked.name, asked.keep, setting)
    written(result, scores)
    for key in ("rows", "differences", "power"):
        for row in result[key]:
            print(*row.values())


if __name__ == "__main__":
    main()
