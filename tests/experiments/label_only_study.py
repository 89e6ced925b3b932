"""Labels alone at a low false-positive rate: `VESTIGE_DATA=... python -m tests.experiments.label_only_study`.

18 networks, 446-128-128-30, are trained for 40 epochs on random halves of Location30, in complementary pairs: once
the paper's with tanh, once with ReLU and torch's first weights, which remember less of each record. Each in turn is the
target; the 16 that are neither it nor its partner are the shadow models. All answer 100 labels per record and strength
of noise, to the same copies. The strength of the likelihood ratio is chosen on each target's shadow models.
"""

import functools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import logit

from vestige.attacks.calibration import calibration_score
from vestige.attacks.correctness import correctness
from vestige.attacks.empirical_bayes import empirical_bayes_online
from vestige.attacks.noise_robustness import noise_robustness
from vestige.core.inputs import InputSpace
from vestige.data.sets.designs import complementary_pairs
from vestige.data.sets.named import load
from vestige.evaluation.roc import point_at_fpr, roc
from vestige.evaluation.strength import choose_on_shadows, choose_on_source
from vestige.papers.choquette_choo import location_network
from vestige.papers.networks.perceptron import perceptron
from vestige.signals import phi_from_logits
from vestige.signals.label_only.agreement import agreement
from vestige.signals.label_only.noise import NoiseStrength, noise_labels
from vestige.training.torch_recipe import TorchRecipe

RESULTS = Path(__file__).parents[2] / "results" / "experiments" / "labels-one-target.json"
NETWORKS: dict[str, Callable[[], torch.nn.Module]] = {
    "tanh": location_network,
    "relu": functools.partial(perceptron, 446, (128, 128), 30, activation=torch.nn.ReLU),
}
SCALES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "probit": agreement,
    "logit": lambda correct: logit((correct.sum(axis=-1) + 0.5) / (correct.shape[-1] + 1)),
}
STRENGTHS = (0.005, 0.01, 0.02, 0.04)
METRICS = ("auc", "tpr_at_fpr_0.01", "tpr_at_fpr_0.001")
N_MODELS, N_DRAWS, SEED = 18, 100, 0


class Labels:
    """A network that answers with labels, and counts."""

    n_classes = 30

    def __init__(self, classifier):
        self.classifier, self.n_queries = classifier, 0

    def logits(self, inputs):
        with torch.inference_mode():
            return self.classifier(torch.from_numpy(inputs)).numpy()

    def labels(self, inputs, records):
        self.n_queries += len(records)
        return self.logits(inputs).argmax(axis=1)


def observe(network: str, n_models: int = N_MODELS, n_draws: int = N_DRAWS) -> dict[str, Any]:
    """Train the networks, and ask each about all records."""
    pool = load("location30")
    inputs, labels = pool.inputs.astype(np.float32), np.asarray(pool.labels)
    is_in = complementary_pairs(n_models, len(labels), seed=SEED)
    recipe = TorchRecipe(NETWORKS[network], epochs=40, batch_size=64)
    targets = [Labels(recipe.fit(pool.take(np.flatnonzero(row)), seed=i).classifier) for i, row in enumerate(is_in)]
    every = np.arange(len(labels))
    ask = functools.partial(noise_labels, inputs=inputs, labels=labels, records=every, space=InputSpace())
    correct = [
        np.array([ask(t, strength=NoiseStrength(flips=p), n_draws=n_draws, seed=SEED) for t in targets])
        for p in STRENGTHS
    ]
    assert all(t.n_queries == n_draws * len(STRENGTHS) * len(labels) for t in targets)
    logits = np.array([t.logits(inputs) for t in targets])
    return {"labels": labels, "is_in": is_in, "correct": correct, "logits": logits}


def rates(scores: np.ndarray, member: np.ndarray) -> tuple[float, float, float]:
    """AUC, and TPR at 1 % and 0.1 % FPR."""
    curve = roc(scores[member], scores[~member])
    return curve.auc, curve.rates_at(point_at_fpr(curve, 0.01))[0], curve.rates_at(point_at_fpr(curve, 0.001))[0]


def summary(values: tuple[float, ...]) -> dict[str, float]:
    """Over targets."""
    return {
        "mean": round(float(np.mean(values)), 4),
        "least": round(min(values), 4),
        "most": round(max(values), 4),
    }


def study(seen: dict[str, Any]) -> list[dict[str, Any]]:
    """Every attack with every model as the target."""
    labels, is_in, models = seen["labels"], seen["is_in"], np.arange(len(seen["is_in"]))
    predicted = seen["logits"].argmax(axis=2)
    phi = phi_from_logits(seen["logits"], labels)
    signals = {name: [scale(c) for c in seen["correct"]] for name, scale in SCALES.items()}
    found: dict[str, list[tuple[float, ...]]] = {}
    chosen: dict[str, list[float]] = {}

    def note(name: str, scores: np.ndarray, member: np.ndarray, strength: float | None = None) -> None:
        found.setdefault(name, []).append(rates(scores, member))
        if strength is not None:
            chosen.setdefault(name, []).append(strength)

    for t in models:
        others = (models != t) & (models != t ^ 1)
        inside, member, source = is_in[others], is_in[t], int(np.flatnonzero(others)[0])
        partner = np.arange(len(inside)) ^ 1
        note("gap", correctness(predicted[t], labels), member)
        robustness = [[noise_robustness(c[m], predicted[m], labels) for c in seen["correct"]] for m in (source, t)]
        best = choose_on_source(robustness[0], is_in[source]).strength
        note("noise robustness, one threshold, strength from the source", robustness[1][best], member, STRENGTHS[best])
        for scale, by_strength in signals.items():
            shadow = [signal[others] for signal in by_strength]
            best = choose_on_shadows(empirical_bayes_online, shadow, inside, partner).strength
            scores = empirical_bayes_online(by_strength[best][t], shadow[best], inside)
            note(f"label-only likelihood ratio, {scale}, strength from the shadows", scores, member, STRENGTHS[best])
            if scale == "probit":
                for p, own, of_shadows in zip(STRENGTHS, by_strength, shadow, strict=True):
                    note(
                        f"label-only likelihood ratio, {p:g}",
                        empirical_bayes_online(own[t], of_shadows, inside),
                        member,
                    )
                calibrated = calibration_score(by_strength[best][t], shadow[best], is_in=inside)
                note("label-only difficulty calibration", calibrated, member, STRENGTHS[best])
        note("likelihood ratio of confidences", empirical_bayes_online(phi[t], phi[others], inside), member)
    return [
        {
            "attack": name,
            "targets": len(rows),
            "shadow_models": len(models) - 2,
            "labels_per_record": N_DRAWS,
            **{metric: summary(column) for metric, column in zip(METRICS, zip(*rows, strict=True), strict=True)},
            **({"strengths": {f"{p:g}": chosen[name].count(p) for p in STRENGTHS}} if name in chosen else {}),
        }
        for name, rows in found.items()
    ]  # fmt: skip


def main() -> None:
    began = time.monotonic()
    rows = [{"network": network, **row} for network in NETWORKS for row in study(observe(network))]
    for row in rows:
        print(row)
    print(f"{time.monotonic() - began:.0f} s")
    RESULTS.write_text("[\n " + ",\n ".join(json.dumps(r) for r in rows) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
