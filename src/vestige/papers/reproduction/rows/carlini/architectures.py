"""Figure 12: shadow models of the target's architecture, or of another one, for targets of others."""

import functools
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from torch import nn

from vestige.auditing.audit import audit
from vestige.auditing.shadows.answers import references_of
from vestige.auditing.shadows.settings import ShadowTraining
from vestige.auditing.trained_models import trained
from vestige.core.likelihood_ratio import LikelihoodRatio, Variance
from vestige.core.options import Options
from vestige.core.progress import silent
from vestige.core.records import Records, joined
from vestige.core.references import References
from vestige.papers import carlini
from vestige.papers.networks.mobilenet import mobilenet_v2
from vestige.papers.networks.resnet import ResNet
from vestige.papers.reproduction.row import Claim, Paper, Row, Scale
from vestige.papers.reproduction.rows.carlini.plans import RATES, drawn, small_recipe, tpr
from vestige.papers.reproduction.verdicts import Relation
from vestige.training.torch_recipe import TorchRecipe

_ANOTHER = {"ResNet-18": "ResNet-34", "ResNet-34": "ResNet-18", "MobileNet-v2": "ResNet-18"}
"""Of what architecture the other shadow models of a target are."""
_SMALL: Mapping[str, Callable[[], nn.Module]] = {
    "ResNet-18": functools.partial(ResNet, n_blocks=(2, 2, 2, 2), n_filters=8),
    "ResNet-34": functools.partial(ResNet, n_filters=8),
    "MobileNet-v2": functools.partial(mobilenet_v2, width=0.25, large_images=True),  # a fifth of the time
}
_WHOLE: Mapping[str, Callable[[], nn.Module]] = {
    "ResNet-18": functools.partial(ResNet, n_blocks=(2, 2, 2, 2)),
    "ResNet-34": ResNet,
    "MobileNet-v2": mobilenet_v2,
}


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """How much is run: records, of which a share is learnt by every model, shadow models, and epochs."""

    n_records: int
    n_models: int
    share: str
    epochs: int


_PLANS = {
    Scale.SMOKE: _Plan(n_records=60, n_models=16, share="1/2", epochs=1),
    Scale.LAPTOP: _Plan(n_records=1_800, n_models=256, share="5/6", epochs=15),
    Scale.PAPER: _Plan(n_records=60_000, n_models=256, share="5/6", epochs=100),
}


def figure12_trial(records: Records, scale: Scale, seed: int) -> dict[str, float]:
    """A target of each architecture, attacked with shadow models of its own and of another one."""
    plan = _PLANS[scale]
    pool = drawn(records, plan.n_records, seed, among=60_000)
    n = round(Fraction(plan.share) * pool.n_records)
    sides = pool.take(np.arange(n)), pool.take(np.arange(n, pool.n_records))
    recipes = {name: _recipe(name, scale) for name in _ANOTHER}
    with tempfile.TemporaryDirectory(prefix="vestige-") as folder:
        references = {
            name: _references(recipe, joined(*sides), plan, Path(folder, name), seed)
            for name, recipe in recipes.items()
        }
        numbers: dict[str, float] = {}
        for name, recipe in recipes.items():
            target = recipe.fit(sides[0], seed=seed).classifier
            own, another = references[name], references[_ANOTHER[name]]
            for way, shadows, variance in (
                ("same architecture", own, Variance.POOLED),
                ("same architecture, own variances", own, Variance.PER_RECORD),
                ("another architecture", another, Variance.POOLED),
            ):
                found = audit(
                    target, *sides, adversary=shadows, attacks=["lira_online"],
                    likelihood=LikelihoodRatio(variance=variance), options=Options(seed=seed), progress=silent,
                )  # fmt: skip
                numbers |= {f"{said}, {way} @ {name}": tpr(found, "lira_online", fpr) for said, fpr in RATES.items()}
    return numbers


def _references(recipe: TorchRecipe, pool: Records, plan: _Plan, run: Path, seed: int) -> References:
    """Shadow models as an audit trains them, once for all targets; their answers lie in the run."""
    training = ShadowTraining(recipe, n_models=plan.n_models, share=plan.share, drawn_alone=True)
    return references_of(trained(recipe, pool, training, run, seed, silent, None))


def _recipe(name: str, scale: Scale) -> TorchRecipe:
    if scale is Scale.PAPER:
        return replace(carlini.resnet18_recipe(), network=_WHOLE[name])
    return small_recipe(_SMALL[name], epochs=_PLANS[scale].epochs)


def _claims(rate: str) -> tuple[Claim, ...]:
    same, own, another = (
        f"{rate}, {way}" for way in ("same architecture", "same architecture, own variances", "another architecture")
    )
    return (
        *(Claim(better=f"{same} @ {name}", other=f"{own} @ {name}", relation=Relation.AT_LEAST) for name in _ANOTHER),
        *(
            Claim(better=f"{same} @ {name}", other=f"{another} @ {name}", relation=Relation.AT_LEAST)
            for name in _ANOTHER
        ),
        Claim(better=f"{same} @ ResNet-18", other=f"{same} @ MobileNet-v2"),
    )


_ON_CIFAR10 = Row(
    paper=Paper.CARLINI,
    item="figure12",
    data="cifar10",
    title="shadow models of another architecture than the target's",
    trial=figure12_trial,
    published={
        "0.1 %, same architecture @ ResNet-34": 0.05,
        "0.1 %, another architecture @ ResNet-34": 0.04,
    },
    claims=_claims("0.1 %"),
    deviations=(
        "targets are trained here, on a random 5/6 of all images, and not Phan's, on the training part; three of the "
        "architectures, and one other for each",
        "each record is asked once",
        "at the scale laptop 1,800 images are drawn, of which a model learns 1,500, and networks are small: ResNets "
        "of 8 to 64 filters and a MobileNet-v2 of a quarter of the width with all strides, on images of 16 x 16 "
        "pixels, for 15 epochs",
        "at the scale laptop there are 300 nonmembers: a false-positive rate of 1 % is 3 of them, and 0.1 % none",
    ),
    gpu_hours=150.0,
)
ROWS = (
    _ON_CIFAR10,
    replace(_ON_CIFAR10, data="cifar10-jpeg", published=None, claims=_claims("1 %"), gpu_hours=0.0, seconds=0.0),
)
