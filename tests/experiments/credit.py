"""P4's trials on German credit: calibrated loss against the loss itself, with thresholds that never saw the target.

A trial is a split into quarters and three trainings: the target on its members, a model on the public members, which
calibrates the target and plays it when the threshold is set, and one on a half of the public nonmembers, which
calibrates that one. The other half are then the simulated nonmembers: nobody was trained on them.
"""

import time
from typing import Any

import numpy as np
from tests.experiments.shadow_answers import train_and_ask
from tests.experiments.targets_in_turn import Mean, mean_of

from vestige.attacks import calibration_loss
from vestige.core.log_means import log_confidence
from vestige.core.records import Records
from vestige.core.seeds import stream
from vestige.data.named import load
from vestige.data.paper_designs import p4_quarters
from vestige.evaluation.roc import roc
from vestige.evaluation.thresholds import balanced_accuracy_threshold
from vestige.papers import p4
from vestige.training.strategies import Strategy

POOL = 800
N_TRIALS = 50
PUBLISHED = {"loss": {"auc": 0.542, "accuracy": 0.617}, "calibration_loss": {"auc": 0.648, "accuracy": 0.618}}
"""P4, tables 2 and 3, German credit."""
VARIANTS = {"softmax twice, as in the code": True, "softmax once, as in the text": False}


def design(n_trials: int) -> tuple[np.ndarray, list[dict[str, np.ndarray]]]:
    """Training sets of all trials, three rows each, and who plays what in each trial."""
    rows, parts = [], []
    for trial in range(n_trials):
        split = p4_quarters(POOL, seed=trial)
        held_out = np.flatnonzero(split.public_nonmembers)
        drawn = stream(trial, "experiment, half of the public nonmembers").permutation(held_out)
        second = np.zeros(POOL, dtype=bool)
        second[drawn[: drawn.size // 2]] = True
        rows += [split.members, split.public_members, second]
        parts.append(
            {
                "members": split.members,
                "nonmembers": split.nonmembers,
                "known_members": split.public_members,
                "known_nonmembers": split.public_nonmembers & ~second,
            }
        )
    return np.array(rows), parts


def scores(phi: np.ndarray, reference: np.ndarray) -> dict[str, np.ndarray]:
    nobody = np.zeros((1, phi.size), dtype=bool)  # of the records that are scored, none was the reference trained on
    return {"loss": log_confidence(phi), "calibration_loss": calibration_loss(phi, reference[None], nobody)}


def trial_of(phi: np.ndarray, parts: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """AUC, and accuracy at the threshold that was best for the simulated target."""
    target, first, second = phi
    own, simulated = scores(target, first), scores(first, second)
    found = {}
    for name, score in own.items():
        known = [simulated[name][parts[f"known_{side}"]] for side in ("members", "nonmembers")]
        threshold = balanced_accuracy_threshold(*known)
        members, nonmembers = score[parts["members"]], score[parts["nonmembers"]]
        called, left_out = np.mean(members >= threshold), np.mean(nonmembers < threshold)
        found[name] = {"auc": roc(members, nonmembers).auc, "accuracy": float(called + left_out) / 2}
    return found


def trials(n_trials: int, *, softmax_twice: bool) -> tuple[list[dict[str, dict[str, float]]], dict[str, float]]:
    rows, parts = design(n_trials)
    records: Records = load("german-credit-p4").take(np.arange(POOL))
    # Models of a stack take the same number of steps: the second reference, on half as many records, has its own.
    answers = train_and_ask(
        p4.credit_recipe(softmax_twice=softmax_twice), records, rows, seed=0, strategy=Strategy(stack=len(rows))
    )
    phi = answers.phi[:, :, 0].astype(np.float64).reshape(n_trials, 3, -1)
    targets = slice(0, None, 3)
    return [trial_of(phi[i], parts[i]) for i in range(n_trials)], {
        "training_accuracy": round(float(answers.training_accuracy[targets].mean()), 4),
        "test_accuracy": round(float(answers.test_accuracy[targets].mean()), 4),
    }


def claim_of(variant: str, metric: str, found: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    difference = mean_of([t["calibration_loss"][metric] - t["loss"][metric] for t in found])
    published = PUBLISHED["calibration_loss"][metric] - PUBLISHED["loss"][metric]
    return {
        "source": "Watson et al. 2022, tables 2 and 3",
        "better": "calibration_loss",
        "other": "loss",
        "relation": "above",
        "metric": metric,
        "variant": variant,
        **_rounded(difference),
        "published": round(published, 3),
        "finding": "shown" if difference.lower > 0 else "contradicted" if difference.upper < 0 else "undecided",
    }


def run(n_trials: int = N_TRIALS) -> dict[str, Any]:
    begun = time.perf_counter()
    rows, claims, stored, accuracies = [], [], [], {}
    for variant, twice in VARIANTS.items():
        raw, accuracies[variant] = trials(n_trials, softmax_twice=twice)
        found = [{a: {m: round(v, 5) for m, v in metrics.items()} for a, metrics in t.items()} for t in raw]
        stored += [{"variant": variant, "trial": i} | t for i, t in enumerate(found)]
        for attack, published in PUBLISHED.items():
            means = {metric: _rounded(mean_of([t[attack][metric] for t in found])) for metric in published}
            rows.append({"variant": variant, "attack": attack} | means | {"published": published})
        claims += [claim_of(variant, metric, found) for metric in ("auc", "accuracy")]
    return {
        "data": "german-credit",
        "words": "P4's card: 20-40-2 with ReLU on 200 records, one reference on 200 others, a new split in each trial",
        "configuration": {
            "n_trials": n_trials,
            "pool": POOL,
            "threshold": "best on a model of the public members, calibrated by one of half of the public nonmembers",
        },
        "accuracies": accuracies,
        "seconds": round(time.perf_counter() - begun),
        "rows": rows,
        "claims": claims,
        "trials": stored,
    }


def _rounded(mean: Mean) -> dict[str, float]:
    return {name: round(value, 5) for name, value in vars(mean).items()}
