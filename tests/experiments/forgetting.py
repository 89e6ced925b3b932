"""Watson et al.'s trials on German credit with every score: plain, calibrated by a model of new weights, by forgetting.

A trial is a split into quarters. The target is trained on its members, the model that plays it when thresholds are set
on the public members; the target is calibrated by a model of the public members, the played one by a model of half of
the public nonmembers, each once from new weights and once from the model that it calibrates. References stop at the
peak of validation accuracy, on the 200 records that are in no pool; those that forget once more after 20 epochs.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tests.experiments.credit import FEWEST_TRIALS
from tests.experiments.verdicts import claim_row, rounded

from vestige import References
from vestige.attacks._log_means import log_confidence
from vestige.attacks.calibration import calibration_score
from vestige.auditing.scoring.public_threshold import public_threshold
from vestige.auditing.shadows.auxiliary_references import references_by_forgetting, references_from_scratch
from vestige.core.recipe import Model
from vestige.core.records import Records, joined
from vestige.data.sets.named import load
from vestige.data.sets.paper_designs import PublicGame, QuarterSplit, watson_public_game, watson_quarters
from vestige.evaluation.roc import roc
from vestige.evaluation.trials import mean_of
from vestige.papers import watson
from vestige.signals.phi import phi_from_logits
from vestige.targets.opening import open_target
from vestige.training.stacked import train_stack
from vestige.training.torch_recipe import TorchRecipe

POOL = 800
N_TRIALS = 20
VARIANTS = {"softmax once": False}
"""Whether the loss takes the softmax of a softmax when it trains, as the paper's code does and its text does not."""
SCORES = ("loss", "gradient_norm", "max_confidence")
WAYS = ("", "from scratch", "by forgetting", "by forgetting, 20 epochs")
PUBLISHED = {
    "auc": {
        "loss": (0.542, 0.648, 0.594),
        "gradient_norm": (0.513, 0.579, 0.559),
        "max_confidence": (0.501, 0.553, 0.543),
    },
    "accuracy": {
        "loss": (0.617, 0.618, 0.577),
        "gradient_norm": (0.569, 0.573, 0.567),
        "max_confidence": (0.557, 0.554, 0.555),
    },
}
"""Watson et al., tables 2 and 3, German credit: as it is, from scratch, by forgetting."""

Rates = dict[str, dict[str, float]]


@dataclass(frozen=True, eq=False)
class Played:
    """A model, the records that it is asked about, and by which others it is calibrated."""

    model: Model
    members: Records
    nonmembers: Records
    auxiliary: Records


def scores_of(logits: np.ndarray, labels: np.ndarray, norms: np.ndarray) -> dict[str, np.ndarray]:
    """Watson et al.'s three scores; of two classes the larger probability has the absolute value of phi."""
    phi = phi_from_logits(logits, labels)
    return {"loss": log_confidence(phi), "gradient_norm": -norms, "max_confidence": log_confidence(np.abs(phi))}


def every_score(played: Played, recipe: TorchRecipe, validation: Records, seed: int) -> dict[str, np.ndarray]:
    """Scores of its members, then its nonmembers, by name and way of calibration."""
    audited = joined(played.members, played.nonmembers)
    target = open_target(played.model.classifier, audited.n_classes)
    norms = target.gradient_norms(audited.inputs, audited.labels)  # type: ignore[attr-defined]
    own = scores_of(target.answers(audited.inputs).whole(), audited.labels, norms)
    found = dict(own)
    for way, references in zip(WAYS[1:], references_of(played, recipe, validation, seed), strict=True):
        logits = next(iter(references.models()))
        theirs = scores_of(logits, audited.labels, references.gradient_norms[0])
        found |= {named(score, way): calibration_score(own[score], theirs[score][None]) for score in SCORES}
    return found


def references_of(played: Played, recipe: TorchRecipe, validation: Records, seed: int) -> Iterator[References]:
    given = (played.auxiliary, played.members, played.nonmembers)
    model, further = played.model.classifier, watson.forgetting_recipe(recipe)
    yield references_from_scratch(
        watson.reference_recipe(recipe), *given, validation=validation, gradient_norms=True, seed=seed
    )
    yield references_by_forgetting(
        model, watson.reference_recipe(further), *given, validation=validation, gradient_norms=True, seed=seed
    )
    yield references_by_forgetting(model, further, *given, gradient_norms=True, seed=seed)


def named(score: str, way: str) -> str:
    return f"{score}, {way}" if way else score


def trial_of(own: dict[str, np.ndarray], simulated: dict[str, np.ndarray], game: PublicGame, n_members: int) -> Rates:
    """AUC on the target, and accuracy at the threshold that the played model's game gave."""
    rates = {}
    public = np.concatenate([np.flatnonzero(game.members), np.flatnonzero(game.nonmembers)])
    for name, score in own.items():
        of_pool = np.full(game.members.size, np.nan)
        of_pool[public] = simulated[name]
        threshold = public_threshold(of_pool, None, game)
        members, nonmembers = score[:n_members], score[n_members:]
        accuracy = float(np.mean(members >= threshold) + np.mean(nonmembers < threshold)) / 2
        rates[name] = {"auc": round(roc(members, nonmembers).auc, 5), "accuracy": round(accuracy, 5)}
    return rates


def trials(numbers: Sequence[int], *, softmax_twice: bool) -> list[Rates]:
    everybody: Records = load("german-credit-watson")
    everybody = Records(
        everybody.inputs, everybody.labels, ids=np.arange(everybody.n_records), classes=everybody.n_classes
    )
    pool, others = everybody.take(np.arange(POOL)), everybody.take(np.arange(POOL, everybody.n_records))
    recipe = watson.credit_recipe(softmax_twice=softmax_twice)
    splits = [watson_quarters(POOL, seed=trial) for trial in numbers]
    rows = np.array([row for split in splits for row in (split.members, split.public_members)])
    models = train_stack(recipe, pool, rows, seeds=range(len(rows)))
    return [_trial(pool, others, recipe, split, models[2 * i], models[2 * i + 1], i) for i, split in enumerate(splits)]


def _trial(
    pool: Records, others: Records, recipe: TorchRecipe, split: QuarterSplit, target: Any, played: Any, seed: int
) -> Rates:
    game = watson_public_game(split, seed=seed)
    public = pool.take(split.public_members)
    private = Played(target, pool.take(split.members), pool.take(split.nonmembers), public)
    simulated = Played(played, public, pool.take(game.nonmembers), pool.take(game.reference))
    own, theirs = (every_score(p, recipe, others, seed) for p in (private, simulated))
    return trial_of(own, theirs, game, private.members.n_records)


def claims_of(stored: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each way of calibration raises each AUC, and forgetting gives some of the gain back (Watson et al., table 2)."""
    compared = [(score, way, "") for score in SCORES for way in WAYS[1:3]]
    compared += [("loss", "from scratch", "by forgetting")]
    return [
        _claim(variant, *what, [trial for trial in stored if trial["variant"] == variant])
        for variant in VARIANTS
        for what in compared
    ]


def _claim(variant: str, score: str, better: str, other: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    names = named(score, better), named(score, other)
    published = PUBLISHED["auc"][score]
    what = {
        "source": "Watson et al. 2022, table 2",
        "better": names[0],
        "other": names[1],
        "relation": "above",
        "metric": "auc",
        "variant": variant,
        "published": round(published[WAYS.index(better)] - published[WAYS.index(other)], 3),
    }
    differences = [trial[names[0]]["auc"] - trial[names[1]]["auc"] for trial in found]
    return claim_row(what, "above", differences, fewest=FEWEST_TRIALS, unit="trial")


def run(n_trials: int = N_TRIALS) -> dict[str, Any]:
    begun = time.perf_counter()
    rows, stored = [], []
    for variant, twice in VARIANTS.items():
        found = trials(range(n_trials), softmax_twice=twice)
        stored += [{"variant": variant, "trial": i} | rates for i, rates in enumerate(found)]
        for score in SCORES:
            for number, way in enumerate(WAYS):
                name = named(score, way)
                means = {m: rounded(mean_of([t[name][m] for t in found])) for m in ("auc", "accuracy")}
                published = {m: PUBLISHED[m][score][min(number, 2)] for m in means}
                rows.append({"variant": variant, "score": score, "way": way} | means | {"published": published})
    return {
        "data": "german-credit",
        "words": "Watson et al.'s card and its three scores, one reference from scratch or by forgetting, new splits "
        "in each "
        "trial",
        "configuration": {"n_trials": n_trials, "pool": POOL, "threshold": "of the public game"},
        "seconds": round(time.perf_counter() - begun),
        "rows": rows,
        "trials": stored,
    }
