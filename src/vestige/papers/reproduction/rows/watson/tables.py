"""Tables 1 to 3: accuracies of the target, and AUC and accuracy of its attacks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from vestige.auditing.querying.settings import Querying
from vestige.core.records import Records
from vestige.core.views import PipelineDraws
from vestige.papers import watson
from vestige.papers.augmentations import FilledCrop, InTurn, Mirror, OnBytes
from vestige.papers.reproduction.playing import accuracy_of
from vestige.papers.reproduction.row import Claim, Paper, Row, Scale, Trial
from vestige.papers.reproduction.rows.watson.games import (
    EVERYBODY,
    SCORES,
    Played,
    Quarters,
    as_released,
    calibrated_game,
    part_of,
    quarters_of,
)
from vestige.papers.reproduction.verdicts import Relation
from vestige.training.torch_recipe import TorchRecipe

PLAYED = Played(scores=SCORES, querying=Querying(access="gradients"))
"""One query of each record."""

DRAWN = replace(
    PLAYED,
    querying=Querying(
        access="gradients",
        views=PipelineDraws(OnBytes(InTurn((FilledCrop((-1.0, -1.0, -1.0), padding=4), Mirror())))),
    ),
)
"""Ten draws of the training augmentation besides, for target and references."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Setting:
    """What is trained on which records.

    Attributes:
        n_pool: Records that are split into quarters.
        recipe: Makes how the target is trained.
        played: Which scores are played.
        n_train: Records for training of a set of which a part alone is taken, in random order; 0 for all as they are.
        n_asked: Records of each side that models are asked about, at most.
    """

    n_pool: int
    recipe: Callable[[], TorchRecipe]
    played: Played = PLAYED
    n_train: int = 0
    n_asked: int = EVERYBODY

    def quarters(self, records: Records, scale: Scale, seed: int) -> Quarters:
        """Draw the split of a trial."""
        some = part_of(records, self.n_train, self.n_pool) if self.n_train else records
        return quarters_of(self.n_pool, self.recipe(), some, scale, seed, n_asked=self.n_asked)


def tables_trial(setting: Setting, records: Records, scale: Scale, seed: int) -> dict[str, float]:
    """One split into quarters and its trainings: the numbers of Tables 1, 2 and 3."""
    of, played = setting.quarters(records, scale, seed), setting.played
    target, simulator = of.recipe.fit(of.members, seed=2 * seed), of.recipe.fit(of.public, seed=2 * seed + 1)
    return {
        "training accuracy": accuracy_of(target, of.members),
        "test accuracy": accuracy_of(target, of.validation),
        **calibrated_game(played, of, target, simulator),
    }


_TABLE1 = {
    "german-credit-watson": (0.921, 0.751),
    "hepatitis-watson": (0.998, 0.871),
    "adult-watson": (0.904, 0.842),
    "mnist": (0.990, 0.989),
    "cifar10": (0.946, 0.740),
    "cifar100": (0.938, 0.373),
    "imagenet": (0.773, 0.637),
}
"""Accuracy in training and test."""

_AUGMENTED = {
    "cifar10": (
        ((0.603, 0.690, 0.674), (0.603, 0.666, 0.707), (0.560, 0.568, 0.575)),
        ((0.609, 0.626, 0.625), (0.610, 0.610, 0.651), (0.562, 0.542, 0.558)),
    ),
    "cifar100": (
        ((0.812, 0.844, 0.831), (0.811, 0.856, 0.843), (0.679, 0.672, 0.647)),
        ((0.785, 0.765, 0.775), (0.788, 0.793, 0.789), (0.647, 0.641, 0.621)),
    ),
}
"""AUC and accuracy of models that were trained with augmentation, as in Tables 2 and 3."""

_GAP = {
    "german-credit-watson": (0.549, 0.589),
    "hepatitis-watson": (0.535, 0.561),
    "adult-watson": (0.514, 0.534),
    "mnist": (0.506, 0.506),
    "cifar10": (0.663, 0.664),
    "cifar100": (0.854, 0.854),
    "imagenet": (0.536, 0.536),
}
"""AUC and accuracy of the gap attack."""

_WAYS = ("", ", calibrated", ", forgetting")
_TABLE2 = {
    "german-credit-watson": ((0.542, 0.648, 0.594), (0.513, 0.579, 0.559), (0.501, 0.553, 0.543)),
    "hepatitis-watson": ((0.514, 0.558, 0.559), (0.515, 0.553, 0.548), (0.513, 0.525, 0.533)),
    "adult-watson": ((0.516, 0.554, 0.529), (0.510, 0.523, 0.515), (0.507, 0.510, 0.512)),
    "mnist": ((0.505, 0.519, 0.509), (0.504, 0.514, 0.509), (0.503, 0.510, 0.505)),
    "cifar10": ((0.676, 0.731, 0.708), (0.678, 0.787, 0.762), (0.629, 0.635, 0.631)),
    "cifar100": ((0.911, 0.903, 0.886), (0.912, 0.924, 0.912), (0.852, 0.707, 0.760)),
    "imagenet": ((0.547, 0.557, 0.551), (0.540, 0.511, 0.520), (0.544, 0.515, 0.512)),
}
"""AUC: plain, calibrated and calibrated by forgetting, of loss, gradient norm and confidence."""

_TABLE3 = {
    "german-credit-watson": ((0.617, 0.618, 0.577), (0.569, 0.573, 0.567), (0.557, 0.554, 0.555)),
    "hepatitis-watson": ((0.574, 0.575, 0.591), (0.574, 0.593, 0.585), (0.574, 0.577, 0.576)),
    "adult-watson": ((0.536, 0.534, 0.522), (0.518, 0.518, 0.515), (0.512, 0.511, 0.511)),
    "mnist": ((0.508, 0.513, 0.509), (0.508, 0.511, 0.508), (0.507, 0.508, 0.506)),
    "cifar10": ((0.712, 0.657, 0.662), (0.719, 0.720, 0.702), (0.642, 0.623, 0.622)),
    "cifar100": ((0.911, 0.829, 0.862), (0.915, 0.876, 0.898), (0.820, 0.731, 0.711)),
    "imagenet": ((0.542, 0.545, 0.542), (0.538, 0.518, 0.521), (0.540, 0.541, 0.553)),
}
"""Accuracy, as in Table 2."""


def _released(recipe: Callable[..., TorchRecipe]) -> TorchRecipe:
    return as_released(recipe(softmax_twice=True))


SMALL = partial(watson.cifar_recipe, epochs=40)
"""How CIFAR-10-JPEG is learnt on a laptop."""

SETTINGS = {
    "german-credit-watson": Setting(n_pool=800, recipe=partial(_released, watson.credit_recipe)),
    "hepatitis-watson": Setting(n_pool=124, recipe=partial(_released, watson.hepatitis_recipe)),
    "adult-watson": Setting(n_pool=32_561, recipe=partial(_released, watson.adult_recipe)),
    "mnist": Setting(n_pool=60_000, recipe=watson.mnist_recipe),
    "cifar10": Setting(n_pool=50_000, recipe=watson.cifar_recipe),
    "cifar100": Setting(n_pool=50_000, recipe=partial(watson.cifar_recipe, 100)),
    "imagenet": Setting(n_pool=1_281_167, recipe=watson.imagenet_recipe, n_asked=10_000),
    "cifar10-jpeg": Setting(n_pool=10_000, recipe=SMALL, n_train=50_000),
}
AUGMENTED = {
    "cifar10": Setting(n_pool=50_000, recipe=partial(watson.cifar_recipe, augment=True), played=DRAWN),
    "cifar100": Setting(n_pool=50_000, recipe=partial(watson.cifar_recipe, 100, augment=True), played=DRAWN),
    "cifar10-jpeg": Setting(n_pool=10_000, recipe=partial(SMALL, augment=True), played=DRAWN, n_train=50_000),
}
SMALLER = (
    "10,000 images of a copy of CIFAR-10 that was encoded anew as JPEG instead of 50,000 of CIFAR-10, and 40 epochs: "
    "no number is set beside a published one"
)
N_TRIALS = {"german-credit-watson": 20, "hepatitis-watson": 20, "imagenet": 3}
_SECONDS = {"german-credit-watson": 15.0, "hepatitis-watson": 4.5, "adult-watson": 36.0, "mnist": 4_000.0}
GPU_HOURS = {"cifar10": 1.0, "cifar100": 1.0, "imagenet": 100.0}
DEVIATIONS = (
    "the model that plays the target is calibrated by one of half of the public nonmembers, and the other half are its "
    "nonmembers; the paper does not say which reference calibrates it",
    "references by forgetting keep the target's rate and begin a new optimiser; the paper tunes rate and batch size",
)
SOFTMAX = "the softmax is taken twice, in training and in every score, as in the released code and not in the text"
_EVALUATION = "models are scored in evaluation mode; the released code leaves dropout on"
_SAME_NUMBER = "Tables 2 and 3 imply other accuracies than Table 1"
_INCONSISTENT = {
    "hepatitis-watson": {"test accuracy": "cannot come from the last 31 records, of which 61 % are of one class"},
    "cifar10": {"training accuracy": _SAME_NUMBER, "test accuracy": _SAME_NUMBER},
    "cifar100": {"training accuracy": _SAME_NUMBER, "test accuracy": _SAME_NUMBER},
}


_IMAGES = {
    "cifar10-jpeg": SMALLER,
    "mnist": _EVALUATION,
    "imagenet": "images of 64 x 64 pixels, 50 epochs, and scores in evaluation mode; the paper does not say how long",
}
_DRAWS = (
    "calibrated scores are means over ten draws of the augmentation and the image itself; plain scores and gradient "
    "norms are of the image itself"
)


def deviations_of(data: str) -> tuple[str, ...]:
    """Return in what every row on a data set differs from the paper."""
    released = (SOFTMAX,) if data.endswith("-watson") else ()
    return (*DEVIATIONS, *released, *((_IMAGES[data],) if data in _IMAGES else ()))


def _of_scores(what: str, values: tuple[tuple[float, ...], ...]) -> dict[str, float]:
    return {
        f"{what}: {score}{way}": value
        for score, row in zip(SCORES, values, strict=True)
        for way, value in zip(_WAYS, row, strict=True)
    }


def claims_of(published: Mapping[str, float], relation: Relation) -> tuple[Claim, ...]:
    """That calibration helps each score, wherever the published numbers say so."""
    return tuple(
        Claim(better=f"{name}{way}", other=name, relation=relation)
        for name in published
        for way in _WAYS[1:]
        if f"{name}{way}" in published and published[f"{name}{way}"] - published[name] >= relation.limits[0]
    )


def _rows(data: str, trial: Trial) -> tuple[Row, ...]:
    table1 = Row(
        paper=Paper.WATSON,
        item="table1",
        data=data,
        title="accuracies of the target",
        trial=trial,
        published=dict(zip(("training accuracy", "test accuracy"), _TABLE1[data], strict=True)),
        n_published=N_TRIALS.get(data, 5) if data == "imagenet" else 5,
        deviations=deviations_of(data),
        inconsistent=_INCONSISTENT.get(data),
        n_trials=N_TRIALS.get(data, 5),
        seconds=_SECONDS.get(data, 0.0),
        gpu_hours=GPU_HOURS.get(data, 0.0),
    )
    of_auc, of_accuracy = _of_scores("AUC", _TABLE2[data]), _of_scores("accuracy", _TABLE3[data])
    above, at_least = claims_of(of_auc, Relation.ABOVE), claims_of(of_accuracy, Relation.AT_LEAST)
    auc, right = _GAP[data]
    unlike = {"AUC: gap": "does not fit its accuracies"} if data.endswith("-watson") else None
    titles = {"table2": "AUC, plain and calibrated", "table3": "accuracy at a public threshold"}
    table2, table3 = (replace(table1, item=item, title=title, inconsistent=None) for item, title in titles.items())
    return (
        table1,
        replace(table2, published=of_auc | {"AUC: gap": auc}, claims=above, inconsistent=unlike),
        replace(table3, published=of_accuracy | {"accuracy: gap": right}, claims=at_least),
    )


def _augmented(data: str, trial: Trial) -> tuple[Row, ...]:
    """The last rows of Tables 2 and 3."""
    auc, right = _AUGMENTED[data]
    of_auc, of_accuracy = _of_scores("AUC", auc), _of_scores("accuracy", right)
    table2 = Row(
        paper=Paper.WATSON,
        item="table2-augmented",
        data=data,
        title="AUC of models that were trained with augmentation",
        trial=trial,
        published=of_auc,
        n_published=5,
        claims=claims_of(of_auc, Relation.ABOVE),
        deviations=(*deviations_of(data), _DRAWS),
        gpu_hours=GPU_HOURS[data],
    )
    title = "accuracy of attacks on models that were trained with augmentation"
    claims = claims_of(of_accuracy, Relation.AT_LEAST)
    return table2, replace(table2, item="table3-augmented", title=title, published=of_accuracy, claims=claims)


def stand_in(row: Row, trial: Trial, seconds: float = 0.0) -> Row:
    """Return a row of CIFAR-10 on CIFAR-10-JPEG: with its claims, and without a published number."""
    data = "cifar10-jpeg"
    deviations = (*(said for said in row.deviations if said not in deviations_of(row.data)), *deviations_of(data))
    return replace(
        row, data=data, trial=trial, published=None, inconsistent=None, deviations=deviations, seconds=seconds,
        gpu_hours=0.0,
    )  # fmt: skip


_TRIALS = {data: partial(tables_trial, setting) for data, setting in SETTINGS.items()}
_OF_AUGMENTED = {data: partial(tables_trial, setting) for data, setting in AUGMENTED.items()}
_BUILT = [row for data in _TABLE1 for row in _rows(data, _TRIALS[data])]
_BUILT_AUGMENTED = [row for data in _AUGMENTED for row in _augmented(data, _OF_AUGMENTED[data])]
_JPEG = "cifar10-jpeg"

ROWS = (
    *_BUILT,
    *_BUILT_AUGMENTED,
    *(stand_in(row, _TRIALS[_JPEG]) for row in _BUILT if row.data == "cifar10" and row.item != "table1"),
    *(stand_in(row, _OF_AUGMENTED[_JPEG]) for row in _BUILT_AUGMENTED if row.data == "cifar10"),
)
"""Tables 1 to 3, and those of Tables 2 and 3 with augmentation."""
