"""What the conclusion asks: defences, vacuous DP, labels alone, gradients and intermediate models at low rates."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vestige.auditing.audit import audit
from vestige.auditing.finished import FinishedAudit
from vestige.auditing.label_only.copies import CopiesOfRecords
from vestige.auditing.label_only.noisy_copies import NoisyCopies
from vestige.auditing.label_only.translations import Translations
from vestige.auditing.querying.defended import Defended, KnowsDefence
from vestige.auditing.querying.settings import Querying
from vestige.auditing.shadows.settings import ShadowTraining
from vestige.core.inputs import InputSpace
from vestige.core.likelihood_ratio import LikelihoodRatio, Variance
from vestige.core.options import Options
from vestige.core.progress import silent
from vestige.core.recipe import Recipe
from vestige.core.records import Records
from vestige.defences import StrongestMemGuard
from vestige.papers.networks.convolutional import smallnet
from vestige.papers.reproduction.playing import rate_of
from vestige.papers.reproduction.row import Claim, Paper, Row, Scale
from vestige.papers.reproduction.rows.carlini.plans import (
    Plan,
    Plans,
    drawn,
    halves,
    location_recipe,
    rates,
    small_recipe,
)
from vestige.papers.reproduction.verdicts import Relation
from vestige.signals.label_only.noise import NoiseStrength
from vestige.training.adversarial_regularisation import AdversarialRegularisation
from vestige.training.dp_sgd import DPSGD
from vestige.training.torch_recipe import TorchRecipe

_NOISE = 0.2
"""Of DP-SGD, in units of the clip: an epsilon of hundreds."""


@dataclass(frozen=True, kw_only=True)
class Labels:
    """How labels alone are attacked: which copies are asked, which attack reads them, and what inputs may be."""

    copies: CopiesOfRecords
    attack: str
    space: InputSpace


def conclusion_trial(plans: Plans, labels: Labels, records: Records, scale: Scale, seed: int) -> dict[str, float]:
    """A target and shadow models, attacked in every way that the conclusion asks for.

    A fifth of the records is the reference of adversarial regularisation, in which nobody is attacked.
    """
    plan = plans[scale]
    whole = drawn(records, plan.n_records, seed)
    n_attacked = whole.n_records * 4 // 5
    pool, reference = (whole.take(rows) for rows in np.split(np.arange(whole.n_records), [n_attacked]))
    members, nonmembers = halves(pool)
    recipe = plan.recipe()
    epochs = sorted({max(1, recipe.epochs // 4), max(1, recipe.epochs // 2)} - {recipe.epochs})

    def attacked(trained: Recipe, attacks: Sequence[str], *, earlier: bool = False, **querying: Any) -> FinishedAudit:
        target = trained.fit(members, seed=seed, checkpoints=epochs if earlier else ())
        return audit(
            target.classifier,
            members,
            nonmembers,
            adversary=ShadowTraining(
                trained,
                n_models=plan.n_models,
                checkpoints=epochs if earlier else (),
                earlier=target.checkpoints if earlier else (),
            ),
            attacks=attacks,
            querying=Querying(**querying),
            likelihood=LikelihoodRatio(variance=Variance.POOLED),
            options=Options(seed=seed),
            progress=silent,
        )

    memguard = Defended(defence=StrongestMemGuard(), known=KnowsDefence.ADAPTIVE)
    base = attacked(recipe, ["lira_online", "calibration_gradient_norm"], access="gradients")
    ways = {
        "no defence": (base, "lira_online"),
        "gradients": (base, "calibration_gradient_norm"),
        "intermediate models": (attacked(recipe, ["lira_online"], earlier=True), "lira_online"),
        "labels alone": (
            attacked(
                recipe, [labels.attack], access="label", label_only=(labels.copies,), inputs=labels.space
            ),
            labels.attack,
        ),
        "MemGuard": (attacked(recipe, ["lira_online"], defence=memguard), "lira_online"),
        "adversarial regularisation": (attacked(_regularised(recipe, reference), ["lira_online"]), "lira_online"),
        "DP-SGD, vacuous epsilon": (attacked(_private(recipe), ["lira_online"]), "lira_online"),
    }  # fmt: skip
    numbers: dict[str, float] = {}
    for name, (found, attack) in ways.items():
        numbers |= rates(found, attack, name) | {f"{name}: AUC": rate_of(found, attack, "roc", "auc")}
    return numbers


def _regularised(recipe: TorchRecipe, reference: Records) -> AdversarialRegularisation:
    return AdversarialRegularisation(recipe, reference, strength=0.3)


def _private(recipe: TorchRecipe) -> TorchRecipe:
    return replace(recipe, augment=None, defences=(DPSGD(1.0, noise=_NOISE),))


# ------------------------------------------------------------------------------------------------------- rows

_LOCATION: Plans = {
    Scale.SMOKE: Plan(recipe=functools.partial(location_recipe, 2), n_records=400, n_models=4),
    Scale.LAPTOP: Plan(recipe=location_recipe, n_records=5_010, n_models=16),
    Scale.PAPER: Plan(recipe=location_recipe, n_records=5_010, n_models=64),
}
_WITHOUT_NORMS = (
    "the network is Watson et al.'s of four convolutions, on images of 16 x 16 pixels: DP-SGD refuses the paper's, of "
    "batch normalisation"
)
_IMAGES: Plans = {
    Scale.SMOKE: Plan(recipe=functools.partial(small_recipe, smallnet, 1), n_records=1_000, n_models=8),
    Scale.LAPTOP: Plan(recipe=functools.partial(small_recipe, smallnet), n_records=2_500, n_models=16),
    Scale.PAPER: Plan(recipe=functools.partial(small_recipe, smallnet, 100), n_records=50_000, n_models=256),
}
_BITS = Labels(
    copies=NoisyCopies(50, choices=tuple(NoiseStrength(flips=k / 446) for k in (2, 5, 10))),
    attack="noise_robustness",
    space=InputSpace(low=0, high=1),
)
_SHIFTED = Labels(copies=Translations(choices=(1,)), attack="translations", space=InputSpace(low=0, high=255))
_ON_LOCATION = Row(
    paper=Paper.CARLINI,
    item="conclusion",
    data="location30",
    title="defences, DP with vacuous epsilon, labels, gradients and intermediate models at low rates",
    trial=functools.partial(conclusion_trial, _LOCATION, _BITS),
    claims=(
        Claim(better="no defence: TPR at 1 %", other="DP-SGD, vacuous epsilon: TPR at 1 %"),
        Claim(better="intermediate models: AUC", other="no defence: AUC", relation=Relation.AT_LEAST),
    ),
    deviations=(
        "the paper asks and does not measure; what it claims is that vacuous epsilons might prevent attacks at low "
        "rates, and that intermediate models help on average",
        "the paper's own data are images: Location30 is here because it runs in minutes",
        "the defences are MemGuard in its strongest form and adversarial regularisation of strength 0.3, each known to "
        "the adversary",
        f"DP-SGD has a clip of 1 and a noise of {_NOISE:g}, and no augmentation",
        "a false-positive rate of 0.1 % needs 10,000 nonmembers to be resolved; there are 2,004",
    ),
    seconds=780.0,
)
ROWS = (
    _ON_LOCATION,
    replace(
        _ON_LOCATION,
        data="cifar10-jpeg",
        trial=functools.partial(conclusion_trial, _IMAGES, _SHIFTED),
        deviations=(_ON_LOCATION.deviations[0], *_ON_LOCATION.deviations[2:4], _WITHOUT_NORMS),
        seconds=0.0,
    ),
)
