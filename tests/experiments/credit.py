"""Watson et al.'s trials on German credit: calibrated loss against plain loss; thresholds never saw the target.

A trial is a split into quarters and four trainings: the target on its members; a model on the public members, which
plays the target when the threshold is set; a reference on the public members, which calibrates the target; and one on a
half of the public nonmembers, which calibrates the played one. The other half are then the simulated nonmembers: nobody
was trained on them. References are trained as the target is, or to the peak of validation accuracy, as the paper says.
"""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from tests.experiments.shadow_answers import Answers, train_and_ask
from tests.experiments.verdicts import claim_row, rounded

from vestige.attacks._log_means import log_confidence
from vestige.attacks.calibration import calibration_score
from vestige.core.records import Records
from vestige.core.seeds import stream
from vestige.data.sets.named import load
from vestige.data.sets.paper_designs import watson_quarters
from vestige.evaluation.roc import best_point, roc
from vestige.evaluation.thresholds import balanced_accuracy_threshold
from vestige.evaluation.trials import mean_of
from vestige.papers import watson
from vestige.training.strategies import Strategy

POOL = 800
N_TRIALS = 50
PUBLISHED = {"loss": {"auc": 0.542, "accuracy": 0.617}, "calibration_loss": {"auc": 0.648, "accuracy": 0.618}}
"""Watson et al., tables 2 and 3, German credit."""
VARIANTS = {
    "softmax twice in training and score, references to the peak": (True, True, True),
    "softmax twice in training and score, references to the end": (True, True, False),
    "softmax twice in training alone, references to the peak": (True, False, True),
    "softmax twice in training alone, references to the end": (True, False, False),
    "softmax once, references to the peak": (False, False, True),
    "softmax once, references to the end": (False, False, False),
}
"""Whether the loss takes the softmax of a softmax, as the paper's code does and its text does not, when it trains, and
when it scores; and whether references stop at the peak of accuracy on the 200 records that are in no pool."""
FEWEST_TRIALS = 20
"""Trials that a verdict needs: they take seconds."""
_TO_THE_END = "Watson et al. train references to the peak of validation accuracy"
_IN_TRAINING_ALONE = "neither Watson et al.'s code, which scores with the loss of training, nor their text"


def design(n_trials: int) -> tuple[np.ndarray, list[dict[str, np.ndarray]]]:
    """Three training sets of each trial, and who plays what in it."""
    rows, parts = [], []
    for trial in range(n_trials):
        split = watson_quarters(POOL, seed=trial)
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


def score_of(phi: np.ndarray, twice: bool) -> np.ndarray:
    """The negated loss; of a softmax of two probabilities p and 1 - p that is -log(1 + exp(1 - 2p))."""
    return -np.log1p(np.exp(-np.tanh(phi / 2))) if twice else log_confidence(phi)


def scores(phi: np.ndarray, reference: np.ndarray, twice: bool) -> dict[str, np.ndarray]:
    own = score_of(phi, twice)
    return {"loss": own, "calibration_loss": calibration_score(own, score_of(reference, twice)[None])}


def accuracy(members: np.ndarray, nonmembers: np.ndarray, threshold: float) -> float:
    return float(np.mean(members >= threshold) + np.mean(nonmembers < threshold)) / 2


def trial_of(
    phi: np.ndarray, references: np.ndarray, parts: dict[str, np.ndarray], twice: bool
) -> dict[str, dict[str, float]]:
    """AUC, and accuracy at the threshold that was best for the simulated target, at the best one for the target itself,
    and at what Watson et al. say to take where a threshold of calibrated scores is not tuned.
    """
    own, simulated = (scores(ours, theirs, twice) for ours, theirs in zip(phi, references, strict=True))
    found = {}
    for name, score in own.items():
        known = [simulated[name][parts[f"known_{side}"]] for side in ("members", "nonmembers")]
        threshold = balanced_accuracy_threshold(*known)
        members, nonmembers = score[parts["members"]], score[parts["nonmembers"]]
        curve = roc(members, nonmembers)
        best = curve.rates_at(best_point(curve))
        found[name] = {
            "auc": curve.auc,
            "accuracy": accuracy(members, nonmembers, threshold),
            "oracle_accuracy": (1 + best[0] - best[1]) / 2,
        }
    calibrated = own["calibration_loss"]
    untuned = accuracy(calibrated[parts["members"]], calibrated[parts["nonmembers"]], 1e-4)
    found["calibration_loss"]["accuracy_at_0.0001"] = untuned
    return found


@dataclass(frozen=True)
class Trained:
    """What models answered: those trained to the end, three a trial, and the two references that stop at the peak."""

    to_the_end: Answers
    to_the_peak: Answers


def trained(n_trials: int, *, softmax_twice: bool) -> Trained:
    everybody: Records = load("german-credit-watson")
    pool, others = (everybody.take(np.arange(*ends)) for ends in ((0, POOL), (POOL, everybody.n_records)))
    recipe, rows = watson.credit_recipe(softmax_twice=softmax_twice), design(n_trials)[0]
    strategy, references = Strategy(stack=len(rows)), np.arange(len(rows)) % 3 > 0
    return Trained(
        train_and_ask(recipe, pool, rows, seed=0, strategy=strategy),
        train_and_ask(
            watson.reference_recipe(recipe), pool, rows[references], seed=1, strategy=strategy, validation=others
        ),
    )


def trials(found: Trained, *, scored_twice: bool, to_the_peak: bool) -> list[dict[str, dict[str, float]]]:
    n_trials = len(found.to_the_end.phi) // 3
    ended, peaked = (
        a.phi[:, :, 0].astype(np.float64).reshape(n_trials, -1, POOL) for a in (found.to_the_end, found.to_the_peak)
    )
    references = peaked if to_the_peak else ended[:, 1:]
    parts = design(n_trials)[1]
    rates = [trial_of(ended[i, :2], references[i], parts[i], scored_twice) for i in range(n_trials)]
    return [{a: {m: round(v, 5) for m, v in metrics.items()} for a, metrics in trial.items()} for trial in rates]


def accuracies_of(found: Trained, to_the_peak: bool) -> dict[str, list[float]]:
    """In training and test, of targets and of the references that calibrate them."""
    ended, peaked = found.to_the_end, found.to_the_peak
    sides = [("target", ended, 0, 3), ("reference", peaked, 0, 2) if to_the_peak else ("reference", ended, 1, 3)]
    return {
        name: [round(float(of[first::step].mean()), 4) for of in (answers.training_accuracy, answers.test_accuracy)]
        for name, answers, first, step in sides
    }


def unmet_by(variant: str) -> str:
    """What a variant has that is neither in Watson et al.'s text nor in their code; empty: nothing."""
    trained_twice, scored_twice, to_the_peak = VARIANTS[variant]
    if not to_the_peak:
        return _TO_THE_END
    return "" if trained_twice == scored_twice else _IN_TRAINING_ALONE


def claims_of(stored: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Calibration raises the AUC, and does not lower the accuracy, in each variant: from the trials of all."""
    return [
        _claim(variant, metric, [trial for trial in stored if trial["variant"] == variant])
        for variant in VARIANTS
        for metric in ("auc", "accuracy")
    ]


def _claim(variant: str, metric: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    relation = "above" if metric == "auc" else "at least"  # the published accuracies are the same
    what = {
        "source": "Watson et al. 2022, tables 2 and 3",
        "better": "calibration_loss",
        "other": "loss",
        "relation": relation,
        "metric": metric,
        "variant": variant,
        "published": round(PUBLISHED["calibration_loss"][metric] - PUBLISHED["loss"][metric], 3),
    }
    differences = [trial["calibration_loss"][metric] - trial["loss"][metric] for trial in found]
    conditions = {"unmet": unmet_by(variant), "fewest": FEWEST_TRIALS, "unit": "trial"}
    return claim_row(what, relation, differences, **conditions)


def run(n_trials: int = N_TRIALS) -> dict[str, Any]:
    begun = time.perf_counter()
    rows, stored, accuracies = [], [], {}
    models = {twice: trained(n_trials, softmax_twice=twice) for twice in (True, False)}
    for variant, (trained_twice, scored_twice, to_the_peak) in VARIANTS.items():
        accuracies[variant] = accuracies_of(models[trained_twice], to_the_peak)
        found = trials(models[trained_twice], scored_twice=scored_twice, to_the_peak=to_the_peak)
        stored += [{"variant": variant, "trial": i} | t for i, t in enumerate(found)]
        for attack, published in PUBLISHED.items():
            means = {metric: rounded(mean_of([t[attack][metric] for t in found])) for metric in found[0][attack]}
            rows.append({"variant": variant, "attack": attack} | means | {"published": published})
    return {
        "data": "german-credit",
        "words": "Watson et al.'s card: 20-40-2 with ReLU on 200 records, one reference on 200 others, new splits in "
        "each trial",
        "configuration": {
            "n_trials": n_trials,
            "pool": POOL,
            "threshold": "the best one of a model of public members, calibrated by one of half the public nonmembers",
        },
        "accuracies": accuracies,
        "seconds": round(time.perf_counter() - begun),
        "rows": rows,
        "trials": stored,
    }
