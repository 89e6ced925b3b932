"""How much of a row is run at each scale: which recipe, how many records and models; and how results are read."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from vestige.auditing.finished import FinishedAudit
from vestige.core.records import Records
from vestige.core.seeds import stream
from vestige.evaluation.roc import point_at_fpr, roc
from vestige.papers import carlini, choquette_choo
from vestige.papers.augmentations import InTurn, Mirror, ReflectedCrop
from vestige.papers.inputs import from_minus_one_to_one
from vestige.papers.networks.resnet import ResNet
from vestige.papers.reproduction.row import Scale
from vestige.papers.schedules import HalfCosine
from vestige.training.torch_recipe import TorchRecipe

RATES = {"0.1 %": 0.001, "1 %": 0.01}
"""False-positive rates, as numbers are named after them."""
N_CIFAR = 50_000
"""Images of CIFAR-10's training part, and of CIFAR-100's."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much is run.

    Attributes:
        recipe: Makes the recipe of target and shadow models.
        n_records: Records that are drawn.
        n_models: Models that are trained.
    """

    recipe: Callable[[], TorchRecipe]
    n_records: int
    n_models: int


Plans = Mapping[Scale, Plan]


def halved(network: Callable[[], nn.Module]) -> nn.Module:
    """Return a network that sees images at half their height and width, each pixel the mean of four."""
    return nn.Sequential(nn.AvgPool2d(2), network())


def small_recipe(network: Callable[[], nn.Module] | None = None, epochs: int = 30) -> TorchRecipe:
    """Return how small networks are trained on some thousand images, augmented as published.

    Args:
        network: Makes the network; a ResNet-18 of an eighth of the filters if omitted.
        epochs: Of training.
    """
    network = network or functools.partial(ResNet, n_blocks=(2, 2, 2, 2), n_filters=8)
    return TorchRecipe(
        functools.partial(halved, network),
        epochs=epochs,
        batch_size=64,
        optimiser=functools.partial(torch.optim.SGD, lr=0.05, momentum=0.9, weight_decay=5e-4),
        schedule=HalfCosine(warm_up=0.1),
        augment=InTurn((Mirror(), ReflectedCrop(4))),
        preprocess=from_minus_one_to_one,
    )


def location_recipe(epochs: int = 60) -> TorchRecipe:
    """Return how a small network is trained on Location30, for a number of epochs that is known before."""
    return replace(choquette_choo.location_recipe(), epochs=epochs, stop=None)


def images(n_laptop: int, n_paper: int, *, n_classes: int = 10) -> Plans:
    """Return how much is run on images with so many models."""
    return {
        Scale.SMOKE: Plan(recipe=functools.partial(small_recipe, epochs=1), n_records=2_000, n_models=8),
        Scale.LAPTOP: Plan(recipe=small_recipe, n_records=2_000, n_models=n_laptop),
        Scale.PAPER: Plan(recipe=functools.partial(carlini.wrn_recipe, n_classes), n_records=N_CIFAR, n_models=n_paper),
    }


SMALL_NETWORKS = (
    "at the scale laptop 2,000 images are drawn, of which a model learns half, instead of 25,000 of 50,000",
    "at the scale laptop networks are a ResNet-18 of 8 to 64 filters on images of 16 x 16 pixels, trained for 30 "
    "epochs, instead of a WRN-28-2",
)
"""Deviations of `images`."""


def drawn(records: Records, n: int, seed: int, *, among: int = N_CIFAR) -> Records:
    """Return some records in a random order, drawn among the first ones, with their row numbers as ids."""
    order = stream(seed, "reproduction, records of Carlini et al.").permutation(min(among, records.n_records))
    rows = order[: min(n, order.size)]
    chosen = records.take(rows)
    return Records(chosen.inputs, chosen.labels, ids=rows, classes=records.n_classes)


def tpr(found: FinishedAudit, attack: str, fpr: float) -> float:
    """Return the true-positive rate of an attack at a false-positive rate, whether records resolve it or not."""
    member = found.records["member"].to_numpy(dtype=bool)
    scores = found.records[attack].to_numpy(dtype=np.float64)
    curve = roc(scores[member], scores[~member])
    return curve.rates_at(point_at_fpr(curve, fpr))[0]


def rates(found: FinishedAudit, attack: str, name: str) -> dict[str, float]:
    """Return an attack's true-positive rates, named after it and the false-positive rate."""
    return {f"{name}: TPR at {said}": tpr(found, attack, fpr) for said, fpr in RATES.items()}


def over_targets(found: FinishedAudit, attacks: Mapping[str, str], metrics: Mapping[str, str]) -> dict[str, float]:
    """Return means over all models as targets, of the metrics that the records resolve.

    Args:
        found: The audit of a recipe.
        attacks: Attacks, by the name of what is returned.
        metrics: Metrics, likewise.
    """
    known = {(one.attack, one.metric): one.mean for one in found.spread}
    return {
        f"{name}: {said}": known[attack, metric]
        for name, attack in attacks.items()
        for said, metric in metrics.items()
        if (attack, metric) in known
    }


def halves(pool: Records) -> tuple[Records, Records]:
    """Return the first and the second half of records in a random order."""
    n = pool.n_records // 2
    rows = np.arange(pool.n_records)
    return pool.take(rows[:n]), pool.take(rows[n : 2 * n])


def quantiles(values: np.ndarray, name: str, at: Sequence[float]) -> dict[str, float]:
    """Return quantiles as points of a figure: `NAME @ share`."""
    return {f"{name} @ {share:g}": float(np.quantile(values, share)) for share in at}
