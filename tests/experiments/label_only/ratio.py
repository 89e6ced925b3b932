"""The label-only likelihood ratio on real data: `VESTIGE_DATA=... python -m tests.experiments.label_only.ratio NAME`.

Models are trained in complementary pairs on one pool, and answer 100 labels per record and strength of noise, all to
the same copies. Each in turn is the target; those that are neither it nor its partner are the shadow models. Strengths
are chosen on the shadow models. Intervals are Student's over pairs of targets, as of the other studies. Written to
`results/experiments/label-only/ratio-NAME.json`.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tests.experiments.label_only.study import RESULTS, Labels
from tests.experiments.settings import cifar_recipe
from tests.experiments.study import circumstances

from vestige.attacks.calibration import calibration_score
from vestige.attacks.correctness import correctness
from vestige.attacks.empirical_bayes import empirical_bayes_online
from vestige.attacks.noise_robustness import noise_robustness
from vestige.core.inputs import InputSpace
from vestige.core.seeds import stream
from vestige.data.sets.designs import complementary_pairs
from vestige.data.sets.named import load
from vestige.evaluation.roc import point_at_fpr, roc
from vestige.evaluation.strength import choose_on_shadows, choose_on_source
from vestige.evaluation.trials import mean_of
from vestige.papers import choquette_choo
from vestige.papers.reproduction.verdicts import FEWEST
from vestige.signals import phi_from_logits
from vestige.signals.label_only.agreement import agreement
from vestige.signals.label_only.noise import NoiseStrength, noise_labels
from vestige.training.strategies import Strategy, groups_of, train_group
from vestige.training.torch_recipe import TorchRecipe

N_DRAWS, SEED = 100, 0
METRICS = ("auc", "tpr_at_fpr_0.01")
RATIO, CALIBRATED = "label-only likelihood ratio", "label-only difficulty calibration"
THRESHOLD, CONFIDENCES, GAP = "noise robustness, one threshold", "likelihood ratio of confidences", "gap"
PAIRS = ((RATIO, THRESHOLD), (RATIO, GAP), (RATIO, CALIBRATED), (CALIBRATED, THRESHOLD), (CONFIDENCES, RATIO))


@dataclass(frozen=True)
class RatioSetting:
    """Models in pairs: what of, how many, and which records all are asked about."""

    words: str
    data: str
    n_pool: int
    n_asked: int
    n_models: int
    recipe: Callable[[], TorchRecipe]
    strengths: tuple[NoiseStrength, ...]
    space: InputSpace
    strategy: Strategy
    is_images: bool = False


SETTINGS = {
    "adult": RatioSetting(
        "Choquette-Choo et al.'s card, 107-128-128-2 with tanh until the training loss stops falling; 2,000 of 4,000 "
        "records each",
        "adult-choquette-choo",
        4_000,
        2_000,
        18,
        choquette_choo.adult_recipe,
        tuple(
            NoiseStrength(gaussian=s, flips=p) for s, p in ((0.005, 0.005), (0.01, 0.01), (0.02, 0.02), (0.04, 0.05))
        ),
        InputSpace(),
        Strategy(stack=18),
    ),
    "cifar10-jpeg": RatioSetting(
        "three convolutions of 16, 32 and 64, trained as Choquette-Choo et al.'s card says; 400 of 800 images each",
        "cifar10-jpeg",
        800,
        800,
        6,
        lambda: replace(cifar_recipe(), bfloat16=True),
        (NoiseStrength(gaussian=0.05),),
        InputSpace(low=0, high=1),
        Strategy(),
        is_images=True,
    ),
}


def observe(s: RatioSetting, say: Callable[[str], Any] = print) -> dict[str, Any]:
    """Train the models, and ask each about the same records."""
    began, everything = time.perf_counter(), load(s.data)
    chosen = stream(SEED, f"P3, ratio, records of {s.data.replace('-choquette-choo', '-p3')}").permutation(
        everything.n_records
    )[: s.n_pool]
    pool = everything.take(np.sort(chosen))
    is_in = complementary_pairs(s.n_models, s.n_pool, seed=SEED)
    recipe, models = s.recipe(), []
    for group in groups_of(recipe, is_in, s.strategy):
        for model in train_group(recipe, pool, is_in[group], [int(i) for i in group], s.strategy):
            if isinstance(model, Exception):
                raise model
            models.append(model)
            say(f"{len(models)} of {s.n_models} models, {model.epoch} epochs, {time.perf_counter() - began:.0f} s")
    training = time.perf_counter() - began
    rows = np.sort(stream(SEED, "P3, ratio, records asked about").permutation(s.n_pool)[: s.n_asked])
    inputs, labels = np.asarray(pool.inputs)[rows].astype(np.float32), np.asarray(pool.labels)[rows]
    inputs = inputs / np.float32(255) if s.is_images else inputs
    targets = [
        Labels(m.classifier.network if s.is_images else m.classifier, pool.n_classes, is_images=s.is_images)
        for m in models
    ]
    correct = []
    for p in s.strengths:
        ask = [noise_labels(t, inputs, labels, rows, s.space, p, N_DRAWS, SEED, pool=pool.inputs) for t in targets]
        correct.append(np.array(ask))
        say(f"{p}: {time.perf_counter() - began:.0f} s")
    asking = time.perf_counter() - began - training
    return {
        "labels": labels, "is_in": is_in[:, rows], "correct": correct,
        "logits": np.array([t.logits(inputs) for t in targets]), "seconds": {"training": training, "asking": asking},
    }  # fmt: skip


def rates(scores: np.ndarray, member: np.ndarray) -> tuple[float, float]:
    """AUC, and TPR at 1 % FPR."""
    curve = roc(scores[member], scores[~member])
    return curve.auc, curve.rates_at(point_at_fpr(curve, 0.01))[0]


def play(seen: dict[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, list[int]]]:
    """Every attack with every model as the target: target x metric, and which strength each chose."""
    labels, is_in, models = seen["labels"], seen["is_in"], np.arange(len(seen["is_in"]))
    predicted, phi = seen["logits"].argmax(axis=2), phi_from_logits(seen["logits"], labels)
    signals = [agreement(c) for c in seen["correct"]]
    found: dict[str, list[tuple[float, float]]] = {}
    chosen: dict[str, list[int]] = {}
    for t in models:
        others = (models != t) & (models != t ^ 1)
        inside, member, source = is_in[others], is_in[t], int(np.flatnonzero(others)[0])
        partner = np.arange(len(inside)) ^ 1
        robust = [[noise_robustness(c[m], predicted[m], labels) for c in seen["correct"]] for m in (source, t)]
        strength = choose_on_source(robust[0], is_in[source]).strength
        shadow = [signal[others] for signal in signals]
        best = choose_on_shadows(empirical_bayes_online, shadow, inside, partner).strength
        scores = {
            GAP: correctness(predicted[t], labels),
            THRESHOLD: robust[1][strength],
            RATIO: empirical_bayes_online(signals[best][t], shadow[best], inside),
            CALIBRATED: calibration_score(signals[best][t], shadow[best], is_in=inside),
            CONFIDENCES: empirical_bayes_online(phi[t], phi[others], inside),
        }
        for name, of in scores.items():
            found.setdefault(name, []).append(rates(of, member))
        chosen.setdefault(THRESHOLD, []).append(strength)
        chosen.setdefault(RATIO, []).append(best)
    return {name: np.round(values, 5) for name, values in found.items()}, chosen


def in_pairs(values: Any) -> dict[str, float]:
    """Mean over pairs of targets, and its interval."""
    pairs = np.asarray(values, dtype=np.float64).reshape(-1, 2).mean(axis=1)
    return {k: round(v, 4) for k, v in vars(mean_of(pairs)).items()}


def side_of(difference: dict[str, float], n_pairs: int) -> str:
    """On which side of nothing the whole interval is; fewer pairs than a verdict needs decide nothing."""
    if n_pairs < FEWEST:
        return "undecided"
    return "above" if difference["lower"] > 0 else "below" if difference["upper"] < 0 else "undecided"


def compared(of_targets: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Rows of attacks and of differences, from target x metric."""
    values = {name: np.asarray(rows) for name, rows in of_targets.items()}
    rows = [
        {"attack": name, **{metric: in_pairs(of[:, i]) for i, metric in enumerate(METRICS)}}
        for name, of in values.items()
    ]
    differences: list[dict[str, Any]] = []
    for better, other in PAIRS:
        for i, metric in enumerate(METRICS):
            difference = in_pairs(values[better][:, i] - values[other][:, i])
            side = side_of(difference, len(values[better]) // 2)
            differences.append({"better": better, "other": other, "metric": metric, **difference, "finding": side})
    return {"rows": rows, "differences": differences}


def run(name: str, say: Callable[[str], Any] = print) -> dict[str, Any]:
    s = SETTINGS[name]
    seen = observe(s, say)
    of_targets, chosen = play(seen)
    predicted = seen["logits"].argmax(axis=2) == seen["labels"]
    return {
        "data": name,
        "words": s.words,
        "configuration": {
            "n_models": s.n_models,
            "n_shadows": s.n_models - 2,
            "n_pool": s.n_pool,
            "n_asked": s.n_asked,
            "labels_per_record": N_DRAWS,
            "strengths": [str(p) for p in s.strengths],
            "seed": SEED,
        },
        "training_accuracy": round(float(predicted[seen["is_in"]].mean()), 4),
        "test_accuracy": round(float(predicted[~seen["is_in"]].mean()), 4),
        "chosen": {name: np.bincount(of, minlength=len(s.strengths)).tolist() for name, of in chosen.items()},
        "seconds": {kind: round(value) for kind, value in seen["seconds"].items()},
        **circumstances(),
        "of_targets": {name: values.tolist() for name, values in of_targets.items()},
        **compared(of_targets),
    }


def written(result: dict[str, Any], path: Path) -> None:
    lists = {key: value for key, value in result.items() if key in ("rows", "differences")}
    of_targets = ",\n  ".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in result["of_targets"].items())
    head = {key: value for key, value in result.items() if key not in lists and key != "of_targets"}
    text = json.dumps(head, indent=1)[:-2] + f',\n "of_targets": {{\n  {of_targets}\n }}'
    for key, values in lists.items():
        text += f',\n "{key}": [\n  ' + ",\n  ".join(json.dumps(value) for value in values) + "\n ]"
    path.write_text(text + "\n}\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.experiments.label_only.ratio", description=__doc__)
    parser.add_argument("name", choices=list(SETTINGS))
    result = run(parser.parse_args().name)
    written(result, RESULTS / f"ratio-{result['data']}.json")
    for row in (*result["rows"], *result["differences"]):
        print(*row.values())


if __name__ == "__main__":
    main()
