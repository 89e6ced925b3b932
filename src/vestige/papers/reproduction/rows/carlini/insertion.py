"""Figure 13: records that do not belong are inserted, and scored by how far models with and without them differ."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from vestige.auditing.recipe_audit import audit_recipe
from vestige.auditing.shadows.settings import ShadowTraining
from vestige.core.likelihood_ratio import LikelihoodRatio, Statistic, Variance
from vestige.core.options import Options
from vestige.core.progress import silent
from vestige.core.records import Records
from vestige.core.seeds import stream
from vestige.data.sets.named import load
from vestige.papers.reproduction.row import Claim, Paper, Row, Scale
from vestige.papers.reproduction.rows.carlini.plans import N_CIFAR, SMALL_NETWORKS, Plans, drawn, images, quantiles

_AT = (0.1, 0.25, 0.5, 0.75, 0.9)
_N_INSERTED = {Scale.SMOKE: 30, Scale.LAPTOP: 100, Scale.PAPER: 1_000}
ORDINARY, WRONG = "CIFAR-10", "CIFAR-10, wrong labels"

Inserted = Callable[[int, int], Records]
"""How many, and a seed -> records that do not belong."""


def figure13_trial(
    plans: Plans, others: Mapping[str, Inserted], records: Records, scale: Scale, seed: int
) -> dict[str, float]:
    """Models on random halves of ordinary and inserted records: quantiles of the privacy score of each group.

    Args:
        plans: Recipe and numbers of records and models.
        others: Groups that are inserted besides test images with wrong labels, by name.
        records: CIFAR-10, its training part first.
        scale: How much is run.
        seed: Of everything that is drawn.
    """
    plan, n = plans[scale], _N_INSERTED[scale]
    ordinary = drawn(records, plan.n_records, seed)
    groups = {ORDINARY: ordinary, WRONG: wrongly_labelled(records, n, seed)}
    groups |= {name: make(n, seed) for name, make in others.items()}
    of_group = np.repeat(list(groups), [group.n_records for group in groups.values()])
    pool = Records(
        np.concatenate([group.inputs for group in groups.values()]),
        np.concatenate([group.labels for group in groups.values()]),
        ids=np.arange(of_group.size),
        classes=records.n_classes,
    )
    found = audit_recipe(
        pool,
        ShadowTraining(plan.recipe(), n_models=plan.n_models),
        attacks=["lira_online"],
        likelihood=LikelihoodRatio(statistic=Statistic.LOSS, variance=Variance.POOLED),
        options=Options(seed=seed),
        progress=silent,
    )
    scores = found.records.set_index("id")["privacy_score"].loc[pool.ids].to_numpy()
    numbers: dict[str, float] = {}
    for name in groups:
        numbers |= quantiles(scores[of_group == name], name, _AT)
    return numbers


def wrongly_labelled(records: Records, n: int, seed: int) -> Records:
    """Return test images, each with a random label that is not its own."""
    rng = stream(seed, "reproduction, wrong labels")
    test = records.take(N_CIFAR + rng.permutation(records.n_records - N_CIFAR)[:n])
    labels = (test.labels + rng.integers(1, test.n_classes, test.n_records)) % test.n_classes
    return Records(test.inputs, labels, classes=test.n_classes)


def digits(n: int, seed: int) -> Records:
    """Return digits of MNIST in the size and colours of CIFAR-10, with random labels."""
    padded = np.pad(_some("mnist", n, seed).inputs, ((0, 0), (2, 2), (2, 2), (0, 0)))
    return _at_random(np.repeat(padded, 3, axis=3), seed)


def photographs(n: int, seed: int) -> Records:
    """Return images of CIFAR-100 with random labels of CIFAR-10's."""
    return _at_random(_some("cifar100", n, seed).inputs, seed)


def of_imagenet(n: int, seed: int) -> Records:
    """Return images that CINIC-10 has from ImageNet, with their right labels."""
    records = load("cinic10")
    chosen = np.flatnonzero(records.groups["origin"] == "imagenet")
    rows = stream(seed, "reproduction, images of CINIC-10").permutation(chosen)[:n]
    return Records(records.inputs[rows], records.labels[rows], classes=10)


def _some(data: str, n: int, seed: int) -> Records:
    records = load(data)
    return records.take(stream(seed, f"reproduction, inserted {data}").permutation(records.n_records)[:n])


def _at_random(inputs: np.ndarray, seed: int) -> Records:
    labels = stream(seed, "reproduction, random labels").integers(0, 10, len(inputs))
    return Records(inputs, labels, classes=10)


# ------------------------------------------------------------------------------------------------------- rows

_PLANS = images(32, 64)
_CINIC, _CIFAR100 = "CINIC-10, right labels", "CIFAR-100, random labels"
_ON_CIFAR10 = Row(
    paper=Paper.CARLINI,
    item="figure13",
    data="cifar10",
    title="privacy scores of records that do not belong",
    trial=functools.partial(figure13_trial, _PLANS, {_CINIC: of_imagenet, _CIFAR100: photographs}),
    claims=tuple(
        Claim(better=f"{better} @ 0.5", other=f"{other} @ 0.5")
        for better, other in ((_CINIC, ORDINARY), (_CIFAR100, _CINIC), (WRONG, _CIFAR100))
    ),
    deviations=(
        "groups are inserted together into one training set; the paper has one set for each",
        "there are 64 models, at the scale laptop 32; the paper does not say how many",
        "images of CINIC-10 and CIFAR-100 are read from those sets, which have to be in the data folder too",
        *SMALL_NETWORKS,
    ),
    gpu_hours=2.0,
)
ROWS = (
    _ON_CIFAR10,
    replace(
        _ON_CIFAR10,
        data="cifar10-jpeg",
        trial=functools.partial(figure13_trial, _PLANS, {"MNIST, random labels": digits}),
        claims=(Claim(better=f"{WRONG} @ 0.5", other=f"{ORDINARY} @ 0.5"),),
        deviations=(
            *_ON_CIFAR10.deviations[:2],
            "digits of MNIST are inserted in place of images of CIFAR-100, and nothing in place of CINIC-10",
            *SMALL_NETWORKS,
        ),
        gpu_hours=0.0,
    ),
)
