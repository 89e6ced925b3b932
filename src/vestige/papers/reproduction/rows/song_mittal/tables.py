"""Rows of the tables: published numbers, claims and what is run."""

import functools
from collections.abc import Mapping, Sequence

from vestige.papers.reproduction.parts import Part
from vestige.papers.reproduction.row import Claim, Paper, Row, Trial
from vestige.papers.reproduction.rows.song_mittal.attacked import METRICS, NOBODY_IN_WORDS
from vestige.papers.reproduction.rows.song_mittal.known_half import MODELS, known_half_trial
from vestige.papers.reproduction.rows.song_mittal.networks import gradients_trial
from vestige.papers.reproduction.rows.song_mittal.settings import (
    DRAWN,
    EXTRAS,
    HALVES,
    REGULARISED,
    SHADOWED,
    SMALLER,
    small_recipe,
)
from vestige.papers.reproduction.rows.song_mittal.shadowed import memguard_trial
from vestige.papers.reproduction.verdicts import Relation
from vestige.papers.song_mittal import CIFAR100_NETWORKS, cifar100_recipe, purchase_recipe, texas_recipe

HALF: Mapping[str, Trial] = {data: functools.partial(known_half_trial, data) for data in HALVES}
MEMGUARD: Mapping[str, Trial] = {data: functools.partial(memguard_trial, data) for data in SHADOWED}

SECONDS_HALF = {"location30": 28.0, "mnist": 35.0}
SECONDS_MEMGUARD = {"location30": 60.0, "mnist": 85.0}
SECONDS_GRADIENTS = {"location30": 20.0, "mnist": 26.0}
"""Of a trial on one core at the scale `laptop`, measured."""
_ACCURACIES = ("training accuracy", "test accuracy")
ADVREG = (DRAWN, SMALLER, REGULARISED)
"""Deviations of the AdvReg family on sets that it was not published on."""

_OF_NETWORK = "the network learns from the known half by scikit-learn, its answer and label in one branch"
_TABLE2 = {
    "purchase100": {
        "none": (0.998, 0.809, 0.595, 0.671, 0.657, 0.671, 0.676),
        "adversarial": (0.927, 0.766, 0.581, 0.594, 0.558, 0.595, 0.516),
        "early stopping": (0.929, 0.764, 0.582, 0.592, 0.559, 0.591, None),
    },
    "texas100": {
        "none": (0.810, 0.523, 0.644, 0.678, 0.602, 0.677, 0.630),
        "adversarial": (0.566, 0.464, 0.551, 0.586, 0.535, 0.586, 0.510),
        "early stopping": (0.593, 0.479, 0.557, 0.594, 0.540, 0.595, None),
    },
}
_TABLE3 = {
    "none": (0.647, 0.678, None, 0.602, 0.648, 0.677),
    "adversarial": (0.555, 0.586, 0.529, 0.535, 0.554, 0.586),
    "early stopping": (0.558, 0.594, 0.532, 0.540, 0.559, 0.595),
}
"""Texas100: confidence, entropy and modified entropy, each with one threshold for all classes, then one for each."""
_TABLE4 = {
    "location30": {"none": (0.687, 0.763, 0.616, 0.781), "MemGuard": (0.687, 0.691, 0.521, 0.688)},
    "texas100": {"none": (0.742, 0.790, 0.666, 0.794), "MemGuard": (0.742, 0.741, 0.546, 0.740)},
}
_TABLE5 = {
    "purchase100": (0.998, 0.809, 0.734, 0.676, 0.595, 0.671, 0.657, 0.671),
    "texas100": (0.810, 0.523, 0.683, 0.630, 0.644, 0.678, 0.602, 0.677),
    "cifar100": (1.0, 0.83, 0.743, 0.677, 0.585, 0.737, 0.733, 0.736),
}
_RISKS = (1, 0.9, 0.8, 0.7, 0.6, 0.5)
_TABLE6: Mapping[str, Mapping[str, tuple[Sequence[float | None], Sequence[float | None]]]] = {
    "purchase100": {
        "none": ((None, None, None, 0.634, 0.626, 0.616), (0.0, 0.0, 0.0, 0.078, 0.551, 0.909)),
        "adversarial": ((0.833, 0.833, 0.659, 0.639, 0.589, 0.565), (0.002, 0.002, 0.005, 0.017, 0.246, 0.763)),
        "early stopping": ((None, None, None, 0.604, 0.571, 0.566), (0.0, 0.0, 0.0, 0.013, 0.202, 0.752)),
    },
    "texas100": {
        "none": ((0.854, 0.834, 0.812, 0.770, 0.728, 0.706), (0.212, 0.291, 0.453, 0.661, 0.854, 0.943)),
        "MemGuard": ((0.882, 0.845, 0.826, 0.770, 0.713, 0.660), (0.014, 0.076, 0.187, 0.437, 0.705, 0.999)),
    },
}
"""Precision and recall at thresholds of the risk score."""


def numbers_of(of_models: Mapping[str, Sequence[float | None]], names: Sequence[str]) -> dict[str, float]:
    """Return published numbers by their names in a trial, without those that were not published."""
    return {
        f"{model}: {name}": value
        for model, values in of_models.items()
        for name, value in zip(names, values, strict=True)
        if value is not None
    }


def either(*names: str) -> str:
    """Return an expression for one of several names."""
    return f"({'|'.join(names)})"


def _table1(data: str) -> Row:
    published = {
        "purchase100": {"adversarial: network": 0.516, "adversarial: best metric": 0.595},
        "texas100": {
            "adversarial: network": 0.510, "adversarial: best metric": 0.586,
            "MemGuard: first reported": 0.503, "MemGuard: best metric": 0.742,
        },
        "location30": {"MemGuard: first reported": 0.501, "MemGuard: best metric": 0.691},
    }.get(data)  # fmt: skip
    wholes = tuple(of[data] for of in (HALF, MEMGUARD) if data in of)
    reported = {"adversarial": "network", "MemGuard": "first reported"}
    claims = [
        Claim(better=f"{model}: best metric", other=f"{model}: {network}")
        for (model, network), of in zip(reported.items(), (HALF, MEMGUARD), strict=True)
        if data in of
    ]
    return Row(
        paper=Paper.SONG_MITTAL, item="table1", data=data,
        title="accuracy of attacks on defended models, as first reported and again",
        trial=Part(wholes, rf"(adversarial|MemGuard): {either('network', 'first reported', 'best metric')}"),
        published=published, claims=claims, deviations=(
            *(ADVREG if data in EXTRAS else (DRAWN,)), _OF_NETWORK,
            "MemGuard as first reported: Jia et al.'s network, learnt on an undefended shadow model, one of their six",
            "the best metric is the best of the four on the attacked records themselves, as in the paper",
        ),
        seconds=SECONDS_HALF.get(data, 0.0) + SECONDS_MEMGUARD.get(data, 0.0),
        gpu_hours=0.0 if data in EXTRAS else 1.5,
    )  # fmt: skip


def of_half(
    item: str,
    data: str,
    title: str,
    wanted: str,
    published: Mapping[str, float] | None = None,
    claims: Sequence[Claim] = (),
    more: Sequence[str] = (),
) -> Row:
    """Return a row of the AdvReg family."""
    return Row(
        paper=Paper.SONG_MITTAL, item=item, data=data, title=title, trial=Part((HALF[data],), wanted),
        published=published, claims=claims, deviations=(*(ADVREG if data in EXTRAS else (DRAWN,)), *more),
        seconds=SECONDS_HALF.get(data, 0.0), gpu_hours=0.0 if data in EXTRAS else 1.0,
    )  # fmt: skip


def of_memguard(
    item: str,
    data: str,
    title: str,
    wanted: str,
    published: Mapping[str, float] | None = None,
    claims: Sequence[Claim] = (),
    more: Sequence[str] = (),
) -> Row:
    """Return a row of the MemGuard family."""
    smaller = () if data in ("texas100", "location30") else (SMALLER,)
    return Row(
        paper=Paper.SONG_MITTAL, item=item, data=data, title=title, trial=Part((MEMGUARD[data],), wanted),
        published=published, claims=claims, deviations=(DRAWN, *smaller, *more),
        seconds=SECONDS_MEMGUARD.get(data, 0.0), gpu_hours=0.0 if data in EXTRAS else 0.5,
    )  # fmt: skip


def _table2(data: str) -> Row:
    published = numbers_of(_TABLE2[data], (*_ACCURACIES, *METRICS, "network")) if data in _TABLE2 else None
    claims = (
        *(Claim(better=f"{name}: modified_entropy", other=f"{name}: correctness") for name in MODELS[:2]),
        *(Claim(better=f"{name}: modified_entropy", other=f"{name}: entropy") for name in MODELS),
        Claim(better="adversarial: modified_entropy", other="adversarial: network"),
        Claim(
            better="adversarial: modified_entropy",
            other="early stopping: modified_entropy",
            relation=Relation.AT_LEAST,
        ),
    )
    return of_half(
        "table2", data, "adversarial regularisation against early stopping",
        rf"{either(*MODELS)}: {either(*_ACCURACIES, *METRICS, 'network')}",
        published, undenied(claims, published), (_OF_NETWORK,),
    )  # fmt: skip


def undenied(claims: Sequence[Claim], published: Mapping[str, float] | None) -> tuple[Claim, ...]:
    """Return the claims that the paper's own numbers on a set do not deny."""
    known = published or {}
    return tuple(
        claim
        for claim in claims
        if not {claim.better, claim.other} <= set(known)
        or round(known[claim.better] - known[claim.other], 4) >= claim.relation.limits[0]
    )


def _table3(data: str) -> Row:
    names = [f"{a}{end}" for a in METRICS[1:] for end in (", for all classes", "")]
    published = numbers_of(_TABLE3, names) if data == "texas100" else None
    claims = [
        Claim(better=f"{model}: {attack}", other=f"{model}: {attack}, for all classes")
        for model in MODELS
        for attack in METRICS[1:]
    ]
    return of_half(
        "table3", data, "one threshold for all classes, and one for each",
        rf"{either(*MODELS)}: {either(*METRICS[1:])}(, for all classes)?", published, claims,
    )  # fmt: skip


_CLAIMS4 = (
    Claim(better="none: modified_entropy", other="none: correctness"),
    Claim(better="none: modified_entropy", other="none: entropy"),
    Claim(better="none: modified_entropy", other="none: confidence", relation=Relation.AT_LEAST),
    Claim(better="none: confidence", other="MemGuard: confidence"),
    Claim(better="MemGuard: confidence", other="MemGuard: correctness", relation=Relation.AT_LEAST),
)


def _table4(data: str) -> Row:
    return of_memguard(
        "table4", data, "metric attacks with and without MemGuard",
        rf"{either(*_ACCURACIES)}|(none|MemGuard(, its own g)?): {either(*METRICS)}",
        numbers_of(_TABLE4[data], METRICS), _CLAIMS4, ("MemGuard's own network (NN) is measured in docs/defences.md",),
    )  # fmt: skip


def _table5(data: str) -> Row:
    recipes = {
        "purchase100": purchase_recipe(), "texas100": texas_recipe(), **{one: small_recipe(one) for one in EXTRAS},
        "cifar100": cifar100_recipe(CIFAR100_NETWORKS["DenseNet"]),
    }  # fmt: skip
    names = (*_ACCURACIES, "white-box network", "black-box network", *METRICS)
    published = dict(zip(names, _TABLE5[data], strict=True)) if data in _TABLE5 else None
    claims = (
        Claim(better="white-box network", other="black-box network"),
        Claim(better="modified_entropy", other="black-box network", relation=Relation.AT_LEAST),
        Claim(better="white-box network", other="modified_entropy"),
    )
    extra = (SMALLER, "500 members and 500 others are attacked") if data in EXTRAS else ()
    return Row(
        paper=Paper.SONG_MITTAL, item="table5", data=data,
        title="networks with and without access to gradients, against metrics",
        trial=functools.partial(gradients_trial, recipes[data], data), published=published,
        claims=undenied(claims, published), seconds=SECONDS_GRADIENTS.get(data, 0.0),
        deviations=(
            DRAWN, *extra, _OF_NETWORK,
            "the white-box network reads the gradients of the last layer alone; see `white_box_gradient`",
            "each half of the records is known while metrics attack the other; networks attack one half",
        ),
        gpu_hours=0.0 if data in EXTRAS else 4.0,
    )  # fmt: skip


def _table6(data: str) -> Row:
    of_shadow = data == "texas100"
    models = ("none", "MemGuard") if of_shadow else MODELS
    names = [f"{what} at risk {t:g}" for what in ("precision", "recall") for t in _RISKS]
    published = None
    if data in _TABLE6:
        published = numbers_of({model: (*p, *r) for model, (p, r) in _TABLE6[data].items()}, names)
    claims = [
        Claim(better=f"{model}: precision at risk 0.7", other=f"{model}: precision at risk 0.5") for model in models
    ]
    claims += [
        Claim(better=f"none: recall at risk {t:g}", other=f"{model}: recall at risk {t:g}")
        for model in models[1:]
        for t in (0.7, 0.6)
    ]
    make = of_memguard if of_shadow else of_half
    return make(
        "table6", data, "members found above a threshold of the risk score",
        rf"{either(*models)}(, smoothed)?: (precision|recall) at risk .*",
        published, claims, (NOBODY_IN_WORDS, "smoothed: one unit more in each bin and side, as audits have it"),
    )  # fmt: skip


ROWS = (
    *map(_table1, ("purchase100", "texas100", *EXTRAS)),
    *map(_table2, (*_TABLE2, *EXTRAS)),
    *map(_table3, ("texas100", *EXTRAS)),
    *map(_table4, _TABLE4),
    *map(_table5, (*_TABLE5, *EXTRAS)),
    *map(_table6, (*_TABLE6, *EXTRAS)),
)
