"""Section 2.3: what the paper names beside its two defences and does not measure, by both adversaries."""

import functools
from dataclasses import replace

from torch import nn

from vestige.core.predictions import Predictions
from vestige.core.records import Records
from vestige.defences import StrongestMemGuard
from vestige.papers.reproduction.playing import accuracy_of, behind, predictions_of, rows_of, short
from vestige.papers.reproduction.row import Claim, Paper, Row, Scale
from vestige.papers.reproduction.rows.song_mittal.attacked import metrics_of
from vestige.papers.reproduction.rows.song_mittal.settings import (
    DRAWN,
    SMALLER,
    permuted,
    small_network,
    small_recipe,
    small_shadowed,
)
from vestige.papers.reproduction.verdicts import Relation
from vestige.training.defences import L2
from vestige.training.dp_sgd import DPSGD
from vestige.training.torch_recipe import TorchRecipe

EPSILONS = (1, 10, 100)
_CLIP = 1.0
STRONGEST = "strongest MemGuard"


def protections(data: str) -> dict[str, TorchRecipe]:
    """Return how models are trained under each defence."""
    plain = small_recipe(data, activation=nn.ReLU)
    dropped = functools.partial(small_network, data, activation=nn.ReLU, dropout=0.3)
    return {
        "none": plain,
        "L2": replace(plain, defences=(L2(0.002),)),
        "dropout": replace(plain, network=dropped),
        **{f"DP, eps {eps}": replace(plain, defences=(DPSGD(_CLIP, epsilon=float(eps)),)) for eps in EPSILONS},
    }


def protections_trial(data: str, records: Records, scale: Scale, seed: int) -> dict[str, float]:
    """Models under each defence, attacked with thresholds of an undefended shadow model, and of one defended alike."""
    split = small_shadowed(permuted(records, seed, data))
    members, nonmembers, inside, outside = (
        rows_of(records, rows, scale)
        for rows in (split.members, split.nonmembers, split.shadow_members, split.shadow_nonmembers)
    )
    found = {"guessing": 0.5}
    known: dict[str, Predictions] = {}
    for name, recipe in protections(data).items():
        how = short(recipe, scale)
        target, shadow = how.fit(members, seed=2 * seed), how.fit(inside, seed=2 * seed + 1)
        given = predictions_of(target, members, nonmembers)
        known[name] = predictions_of(shadow, inside, outside)
        found[f"{name}: training accuracy"] = accuracy_of(target, members)
        found[f"{name}: test accuracy"] = accuracy_of(target, nonmembers)
        found |= by_both(name, given, known["none"], known[name])
        if name == "none":
            hidden = behind(StrongestMemGuard(), given)
            found |= by_both(STRONGEST, hidden, known["none"], behind(StrongestMemGuard(), known["none"]))
    return found


def by_both(name: str, target: Predictions, undefended: Predictions, defended: Predictions) -> dict[str, float]:
    """Accuracies by an adversary who does not know the defence, and by one who adapts to it."""
    adversaries = {"unaware": undefended, "adaptive": defended}
    return {
        f"{name}, {who}: {attack}": rate
        for who, shadow in adversaries.items()
        for attack, rate in metrics_of(target, shadow).items()
    }


_DEFENCES = ("L2", "dropout", *(f"DP, eps {eps}" for eps in EPSILONS))
_CLAIMS = (
    *(
        Claim(better="none, adaptive: modified_entropy", other=f"{name}, adaptive: modified_entropy")
        for name in _DEFENCES
    ),
    *(Claim(better=f"{name}, adaptive: modified_entropy", other="guessing") for name in ("L2", "dropout", STRONGEST)),
    *(
        Claim(
            better=f"{name}, adaptive: modified_entropy",
            other=f"{name}, unaware: modified_entropy",
            relation=Relation.AT_LEAST,
        )
        for name in (*_DEFENCES, STRONGEST)
    ),
    *(Claim(better="none: test accuracy", other=f"DP, eps {eps}: test accuracy") for eps in EPSILONS[:2]),
)
_SECONDS = {"location30": 35.0, "mnist": 81.0}

ROWS = tuple(
    Row(
        paper=Paper.SONG_MITTAL, item="section-2.3", data=data,
        title="strongest MemGuard, L2, dropout and DP-SGD, by both adversaries",
        trial=functools.partial(protections_trial, data), claims=_CLAIMS, seconds=_SECONDS[data],
        deviations=(
            "the paper names these defences and measures none; what it says of them is judged",
            DRAWN, SMALLER,
            "L2 of 0.002 on the dense layers' squares; dropout of 0.3; DP-SGD with clip 1 and delta 1/n, Poisson draws",
            "strongest MemGuard is Choquette-Choo et al. 2021's: a constant confidence in the predicted class",
        ),
    )
    for data in _SECONDS
)  # fmt: skip
