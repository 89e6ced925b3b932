"""Watson et al. 2022: rows of their tables."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from vestige.auditing.audit import audit
from vestige.auditing.finished import FinishedAudit
from vestige.auditing.querying.settings import Querying
from vestige.auditing.scoring.public_threshold import UNTUNED
from vestige.auditing.shadows.auxiliary_references import references_by_forgetting, references_from_scratch
from vestige.core.progress import silent
from vestige.core.recipe import Model
from vestige.core.records import Records
from vestige.core.references import References
from vestige.data.sets.paper_designs import watson_public_game, watson_quarters
from vestige.evaluation.thresholds import balanced_accuracy_threshold
from vestige.papers import watson
from vestige.papers.reproduction.playing import accuracy_of, rate_of, rows_of, short
from vestige.papers.reproduction.row import Claim, Paper, Row, Scale, not_built
from vestige.papers.reproduction.verdicts import Relation
from vestige.training.torch_recipe import TorchRecipe, cross_entropy

SCORES = {
    "loss": ("loss", "calibration_loss"),
    "gradient norm": ("gradient_norm", "calibration_gradient_norm"),
    "confidence": ("max_confidence", "calibration_confidence"),
}
"""Watson et al.'s scores, and what they are called in an audit: plain, and calibrated."""


def tables_trial(
    n_pool: int, recipe: Callable[[], TorchRecipe], records: Records, scale: Scale, seed: int
) -> dict[str, float]:
    """One split into quarters and its trainings: the numbers of Tables 1, 2 and 3.

    Thresholds are set on public records alone: a model of the public members plays the target; a model of half of the
    public nonmembers calibrates it, and the other half are its nonmembers.
    """
    split, how = watson_quarters(n_pool, seed=seed), short(recipe(), scale)
    game = watson_public_game(split, seed=seed)
    members, nonmembers = rows_of(records, split.members, scale), rows_of(records, split.nonmembers, scale)
    public, spare = rows_of(records, game.members, scale), rows_of(records, game.reference, scale)
    simulated = rows_of(records, game.nonmembers, scale)
    rest = np.arange(n_pool, records.n_records)
    validation = rows_of(records, rest if rest.size else np.flatnonzero(split.public_nonmembers), scale)
    target, played = how.fit(members, seed=2 * seed), how.fit(public, seed=2 * seed + 1)
    found = {
        "training accuracy": accuracy_of(target, members),
        "test accuracy": accuracy_of(target, validation),
    }
    for name, make in {"calibrated": from_scratch, "forgetting": by_forgetting}.items():
        ours = audited(target, how, members, nonmembers, make(target, how, public, (members, nonmembers), validation))
        theirs = audited(played, how, public, simulated, make(played, how, spare, (public, simulated), validation))
        found |= numbers_of(ours, theirs, name)
    return found


def from_scratch(
    _: Model, recipe: TorchRecipe, auxiliary: Records, sides: tuple[Records, Records], validation: Records
) -> References:
    """A reference of new weights, to the peak of validation accuracy."""
    return references_from_scratch(
        watson.reference_recipe(recipe), auxiliary, *sides, validation=validation, gradient_norms=True
    )


def by_forgetting(
    model: Model, recipe: TorchRecipe, auxiliary: Records, sides: tuple[Records, Records], validation: Records
) -> References:
    """A reference that begins with the model's weights, to the peak of validation accuracy."""
    further = watson.reference_recipe(watson.forgetting_recipe(recipe))
    return references_by_forgetting(
        model.classifier, further, auxiliary, *sides, validation=validation, gradient_norms=True
    )


def audited(
    model: Model, recipe: TorchRecipe, members: Records, nonmembers: Records, references: References
) -> FinishedAudit:
    """Audit a model with access to gradients and a reference."""
    names = [name for both in SCORES.values() for name in both]
    return audit(
        model.classifier, members, nonmembers, adversary=references, attacks=names,
        querying=Querying(access="gradients"), progress=silent,
    )  # fmt: skip


def numbers_of(ours: FinishedAudit, theirs: FinishedAudit, way: str) -> dict[str, float]:
    """AUC of every score, and accuracy at three thresholds: the public one, the best, and one just above 0."""
    found: dict[str, float] = {}
    for score, names in SCORES.items():
        for name, label in zip(names, (score, f"{score}, {way}"), strict=True):
            own, known = sides_of(ours, name), sides_of(theirs, name)
            found[f"AUC: {label}"] = rate_of(ours, name, "roc", "auc")
            found[f"accuracy: {label}"] = accuracy(*own, balanced_accuracy_threshold(*known))
            found[f"accuracy, best threshold: {label}"] = rate_of(ours, name, "oracle")
            if label != score:
                found[f"accuracy, threshold {UNTUNED:g}: {label}"] = accuracy(*own, UNTUNED)
    return found


def sides_of(found: FinishedAudit, attack: str) -> tuple[np.ndarray, np.ndarray]:
    """Scores of members and of nonmembers."""
    member = found.records["member"].to_numpy(dtype=bool)
    scores = found.records[attack].to_numpy(dtype=np.float64)
    return scores[member], scores[~member]


def accuracy(members: np.ndarray, nonmembers: np.ndarray, threshold: float) -> float:
    """Balanced accuracy of "member iff score >= threshold"."""
    return float(np.mean(members >= threshold) + np.mean(nonmembers < threshold)) / 2


class CentredSoftmax(nn.Module):
    """A softmax less its mean: as logits these are the same as the softmax, and nobody takes them for probabilities."""

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        """Logits -> other logits."""
        return logits.softmax(dim=1) - 1 / logits.shape[1]


def _with_softmax(network: Callable[[], nn.Module]) -> nn.Module:
    return nn.Sequential(network(), CentredSoftmax())


def as_released(recipe: TorchRecipe) -> TorchRecipe:
    """Return a recipe whose network ends with a softmax, and whose loss takes another: so the released code does.

    Every score of an audit is then that of the doubled softmax too, gradient norms included.
    """
    return replace(recipe, network=functools.partial(_with_softmax, recipe.network), loss=cross_entropy)


_TABLE1 = {
    "german-credit-watson": (0.921, 0.751),
    "hepatitis-watson": (0.998, 0.871),
    "adult-watson": (0.904, 0.842),
    "mnist": (0.990, 0.989),
    "cifar10": (0.946, 0.740),
    "cifar100": (0.938, 0.373),
}
"""Accuracy in training and test."""

_WAYS = ("", ", calibrated", ", forgetting")
_TABLE2 = {
    "german-credit-watson": ((0.542, 0.648, 0.594), (0.513, 0.579, 0.559), (0.501, 0.553, 0.543)),
    "hepatitis-watson": ((0.514, 0.558, 0.559), (0.515, 0.553, 0.548), (0.513, 0.525, 0.533)),
    "adult-watson": ((0.516, 0.554, 0.529), (0.510, 0.523, 0.515), (0.507, 0.510, 0.512)),
    "mnist": ((0.505, 0.519, 0.509), (0.504, 0.514, 0.509), (0.503, 0.510, 0.505)),
    "cifar10": ((0.676, 0.731, 0.708), (0.678, 0.787, 0.762), (0.629, 0.635, 0.631)),
    "cifar100": ((0.911, 0.903, 0.886), (0.912, 0.924, 0.912), (0.852, 0.707, 0.760)),
}
"""AUC: plain, calibrated and calibrated by forgetting, of loss, gradient norm and confidence."""

_TABLE3 = {
    "german-credit-watson": ((0.617, 0.618, 0.577), (0.569, 0.573, 0.567), (0.557, 0.554, 0.555)),
    "hepatitis-watson": ((0.574, 0.575, 0.591), (0.574, 0.593, 0.585), (0.574, 0.577, 0.576)),
    "adult-watson": ((0.536, 0.534, 0.522), (0.518, 0.518, 0.515), (0.512, 0.511, 0.511)),
    "mnist": ((0.508, 0.513, 0.509), (0.508, 0.511, 0.508), (0.507, 0.508, 0.506)),
    "cifar10": ((0.712, 0.657, 0.662), (0.719, 0.720, 0.702), (0.642, 0.623, 0.622)),
    "cifar100": ((0.911, 0.829, 0.862), (0.915, 0.876, 0.898), (0.820, 0.731, 0.711)),
}
"""Accuracy, as in Table 2."""


def _released(recipe: Callable[..., TorchRecipe]) -> TorchRecipe:
    return as_released(recipe(softmax_twice=True))


_TRIALS = {
    "german-credit-watson": functools.partial(tables_trial, 800, functools.partial(_released, watson.credit_recipe)),
    "hepatitis-watson": functools.partial(tables_trial, 124, functools.partial(_released, watson.hepatitis_recipe)),
    "adult-watson": functools.partial(tables_trial, 32_561, functools.partial(_released, watson.adult_recipe)),
    "mnist": functools.partial(tables_trial, 60_000, watson.mnist_recipe),
    "cifar10": functools.partial(tables_trial, 50_000, watson.cifar_recipe),
    "cifar100": functools.partial(tables_trial, 50_000, functools.partial(watson.cifar_recipe, 100)),
}
_N_TRIALS = {"german-credit-watson": 20, "hepatitis-watson": 20}
_SECONDS = {"german-credit-watson": 12.0, "hepatitis-watson": 3.0, "adult-watson": 300.0, "mnist": 4_000.0}
_GPU_HOURS = {"cifar10": 1.0, "cifar100": 1.0}
_DEVIATIONS = (
    "the model that plays the target is calibrated by one of half of the public nonmembers, and the other half are its "
    "nonmembers; the paper does not say which reference calibrates it",
    "references by forgetting keep the target's rate and begin a new optimiser; the paper tunes rate and batch size",
)
_SOFTMAX = "the softmax is taken twice, in training and in every score, as in the released code and not in the text"
_EVALUATION = "models are scored in evaluation mode; the released code leaves dropout on"
_SAME_NUMBER = "Tables 2 and 3 imply other accuracies than Table 1"
_INCONSISTENT = {
    "hepatitis-watson": {"test accuracy": "cannot come from the last 31 records, of which 61 % are of one class"},
    "cifar10": {"training accuracy": _SAME_NUMBER, "test accuracy": _SAME_NUMBER},
    "cifar100": {"training accuracy": _SAME_NUMBER, "test accuracy": _SAME_NUMBER},
}


def _of_scores(what: str, values: tuple[tuple[float, ...], ...]) -> dict[str, float]:
    return {
        f"{what}: {score}{way}": value
        for score, row in zip(SCORES, values, strict=True)
        for way, value in zip(_WAYS, row, strict=True)
    }


def _claims(published: Mapping[str, float], relation: Relation) -> tuple[Claim, ...]:
    """That calibration helps each score, wherever the published numbers say so."""
    return tuple(
        Claim(better=f"{name}{way}", other=name, relation=relation)
        for name in published
        for way in _WAYS[1:]
        if f"{name}{way}" in published and published[f"{name}{way}"] - published[name] >= relation.limits[0]
    )


def _rows(data: str) -> tuple[Row, ...]:
    is_table = data.endswith("-watson")
    table1 = Row(
        paper=Paper.WATSON,
        item="table1",
        data=data,
        title="accuracies of the target",
        trial=_TRIALS[data],
        published=dict(zip(("training accuracy", "test accuracy"), _TABLE1[data], strict=True)),
        n_published=5,
        deviations=(*_DEVIATIONS, *((_SOFTMAX,) if is_table else (_EVALUATION,) if data == "mnist" else ())),
        inconsistent=_INCONSISTENT.get(data),
        n_trials=_N_TRIALS.get(data, 5),
        seconds=_SECONDS.get(data, 0.0),
        gpu_hours=_GPU_HOURS.get(data, 0.0),
    )
    of_auc, of_accuracy = _of_scores("AUC", _TABLE2[data]), _of_scores("accuracy", _TABLE3[data])
    above, at_least = _claims(of_auc, Relation.ABOVE), _claims(of_accuracy, Relation.AT_LEAST)
    return (
        table1,
        replace(
            table1, item="table2", title="AUC, plain and calibrated", published=of_auc, claims=above, inconsistent=None
        ),
        replace(
            table1,
            item="table3",
            title="accuracy at a public threshold",
            published=of_accuracy,
            claims=at_least,
            inconsistent=None,
        ),
    )


_not_built = functools.partial(not_built, Paper.WATSON)


ROWS = (
    *(row for data in _TABLE1 for row in _rows(data)),
    _not_built("table1", "accuracies of the target", "imagenet", 100.0),
    *(
        _not_built("table4", "boundary distances, plain and calibrated", data)
        for data in ("german-credit-watson", "hepatitis-watson", "adult-watson", "cifar10", "cifar100")
    ),
    _not_built("figure1", "scores of members and nonmembers"),
    _not_built("figure2", "ROC and precision against recall"),
    _not_built("figure3", "AUC and accuracy against the size of the training set"),
    _not_built("figure4", "ratio of members to nonmembers"),
    _not_built("figure5", "one to ten references against their share of records"),
    _not_built("figure6", "DP-SGD from epsilon 1 to 1,000"),
)
