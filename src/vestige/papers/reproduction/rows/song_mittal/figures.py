"""Rows of the figures and of the appendices."""

import functools
from collections.abc import Sequence
from dataclasses import replace

from torch import nn

from vestige.papers.reproduction.parts import Part
from vestige.papers.reproduction.row import Claim, Paper, Row
from vestige.papers.reproduction.rows.song_mittal.causes import N_LEFT_OUT, causes_trial
from vestige.papers.reproduction.rows.song_mittal.known_half import MODELS
from vestige.papers.reproduction.rows.song_mittal.networks import (
    VARIANTS,
    defended_variants_trial,
    images_trial,
    variants_trial,
)
from vestige.papers.reproduction.rows.song_mittal.settings import (
    DRAWN,
    EXTRAS,
    SHADOWED,
    SMALLER,
    Shadowed,
    small_recipe,
    small_shadowed,
)
from vestige.papers.reproduction.rows.song_mittal.tables import either, of_half, of_memguard
from vestige.papers.song_mittal import CIFAR100_NETWORKS, cars_recipe, ch_mnist_recipe, cifar100_recipe

_DISTRIBUTION = "(at or below, {0} @ .*|{0}: (mean risk|risk, .* quartile|members above risk .*))"
_OF_RISK = "risk in the published form: histograms to which nothing is added"


def _distribution(*models: str) -> str:
    return _DISTRIBUTION.format(either(*models))


def _calibration(*models: str, network: bool = True) -> str:
    what = "(risk|network)" if network else "risk"
    return (
        rf"(members by )?{what}, {either(*models)}(, smoothed)? @ .*|{either(*models)}(, smoothed)?: {what}, error .*"
    )


def _figure1(data: str) -> Row:
    make = of_memguard if data == "location30" else of_half
    claims = (Claim(better="none: risk, third quartile", other="none: risk, first quartile"),)
    return make(
        "figure1", data, "risk of members, models without a defence", _distribution("none"), None, claims, (_OF_RISK,)
    )


_FIGURE1_CIFAR100 = replace(
    _figure1("purchase100"),
    data="cifar100", gpu_hours=60.0,
    trial=Part(
        (functools.partial(images_trial, functools.partial(cifar100_recipe, CIFAR100_NETWORKS["DenseNet"]), 50_000),),
        _distribution("none"),
    ),
    deviations=(DRAWN, "the network is trained here; the paper takes a public one", _OF_RISK),
)  # fmt: skip


def _figure2(data: str) -> Row:
    claims = (Claim(better="none: test accuracy", other="adversarial: test accuracy"),)
    published = {"none: test accuracy": 0.809, "adversarial: test accuracy": 0.766} if data == "purchase100" else None
    wanted = f"test accuracy, .*|{either(*MODELS[:2])}: test accuracy"
    return of_half("figure2", data, "test accuracy by epoch", wanted, published, claims)


def _figure3(data: str, item: str = "figure3", title: str = "calibration of the risk score and of the network") -> Row:
    published = None
    if data == "purchase100":
        rmse = {"none": (0.05, 0.26), "adversarial": (0.09, 0.26), "early stopping": (0.06, 0.25)}
        published = {
            f"{model}: {what}, error of calibration": value
            for model, values in rmse.items()
            for what, value in zip(("risk", "network"), values, strict=True)
        }
    claims = _better_than_network(MODELS)
    return of_half(item, data, title, _calibration(*MODELS), published, claims, _BINS)


def _better_than_network(models: Sequence[str]) -> tuple[Claim, ...]:
    end = "error of calibration"
    return tuple(Claim(better=f"{model}: network, {end}", other=f"{model}: risk, {end}") for model in models)


_BINS = (
    "errors are over ten equal bins of [0, 1]; lines are over tenths of the records by score, none of which is empty",
    _OF_RISK + "; smoothed: one unit more in each bin and side, as audits have it",
)


def _figure4(data: str) -> Row:
    extra = (SMALLER,) if data in EXTRAS else ()
    return Row(
        paper=Paper.SONG_MITTAL, item="figure4", data=data, title="calibration of the risk score across networks",
        trial=functools.partial(variants_trial, data), claims=_below_limit(data),
        deviations=(DRAWN, *extra, *_BINS), seconds=_SECONDS4.get(data, 0.0), gpu_hours=0.0 if data in EXTRAS else 5.0,
    )  # fmt: skip


def _below_limit(data: str) -> tuple[Claim, ...]:
    unmet = "said of sets with three to fifteen times as many known records of a class" if data in EXTRAS else ""
    names = VARIANTS[data]
    return tuple(Claim(better="limit", other=f"{name}: risk, error of calibration", unmet=unmet) for name in names)


def _figure5(data: str) -> Row:
    claims = (
        Claim(better="none: mean risk", other="adversarial: mean risk"),
        Claim(
            better="adversarial: members above risk 0.8",
            other="none: members above risk 0.8",
            unmet="" if data == "purchase100" else "said of Purchase100 alone",
        ),
    )
    title = "risk of members, with and without adversarial regularisation"
    return of_half("figure5", data, title, _distribution(*MODELS), None, claims, (_OF_RISK,))


def _figure6(data: str) -> Row:
    claims = (Claim(better="none: mean risk", other="MemGuard: mean risk"),)
    published = {"MemGuard: members above risk 0.6": 0.7} if data == "texas100" else None
    wanted = _distribution("none", "MemGuard")
    return of_memguard(
        "figure6", data, "risk of members, with and without MemGuard", wanted, published, claims, (_OF_RISK,)
    )


_CAUSES = {
    "texas100": SHADOWED["texas100"],
    **{data: Shadowed(small_shadowed, small_recipe(data, activation=nn.ReLU)) for data in EXTRAS},
}
_CAUSES_TRIALS = {data: functools.partial(causes_trial, setting, data) for data, setting in _CAUSES.items()}


def _causes(item: str, data: str) -> Row:
    title, wanted, published, claim = {
        "figure7": (
            "sensitivity against risk", "sensitivity, .*", None,
            Claim(better="sensitivity, rank correlation with risk", other="no correlation"),
        ),
        "figure8": (
            "risk of a class against its generalisation error", "classes, .*", {"classes, Pearson correlation": 0.94},
            Claim(better="classes, Pearson correlation", other="no correlation"),
        ),
        "figure9": (
            "last layer of the classes most and least at risk", "test records .*", None,
            Claim(
                better="test records beside their class, lowest risk",
                other="test records beside their class, highest risk",
            ),
        ),
    }[item]  # fmt: skip
    n = next(number for scale, number in N_LEFT_OUT.items() if scale == "laptop")
    of_item = {
        "figure7": (
            f"{n} records are left out, each from a training of its own (300 at the scale paper)",
            "lines are over fifths of these records, by risk",
            "sensitivity is the logarithm of M without the record over M with it: our copy has lost the fraction",
        ),
        "figure8": ("lines are over tenths of the classes, by generalisation error",),
        "figure9": (
            "measured: the share of test records whose nearest training record in the plane is of their class; "
            "`vestige.auditing.risk_causes.why.why_at_risk` draws the planes",
        ),
    }[item]
    extra = (SMALLER,) if data in EXTRAS else ()
    return Row(
        paper=Paper.SONG_MITTAL, item=item, data=data, title=title,
        trial=Part((_CAUSES_TRIALS[data],), f"{wanted}|no correlation"),
        published=published if data == "texas100" else None, claims=(claim,),
        deviations=(DRAWN, *extra, *of_item, _OF_RISK), seconds=_SECONDS_CAUSES.get(data, 0.0),
        gpu_hours=0.0 if data in EXTRAS else 60.0,
    )  # fmt: skip


_SECONDS4 = {"location30": 21.0, "mnist": 38.0}
_SECONDS_CAUSES = {"location30": 37.0, "mnist": 85.0}
_IMAGES = {"ch-mnist": (2_000, ch_mnist_recipe, 0.990, 0.717), "cars196": (8_144, cars_recipe, 0.993, 0.875)}


def _appendix_a(data: str) -> Row:
    n_members, recipe, training, test = _IMAGES[data]
    return Row(
        paper=Paper.SONG_MITTAL, item="appendix-a", data=data, title="metric attacks on more sets of images",
        trial=Part((functools.partial(images_trial, recipe, n_members),), "none: [a-z_ ]*"),
        published={"none: training accuracy": training, "none: test accuracy": test},
        claims=(Claim(better="none: best metric", other="none: network"),),
        deviations=(DRAWN, "the paper's table of attacks is missing from our copy; it says that metrics find more"),
        gpu_hours=0.5,
    )  # fmt: skip


def _appendix_b(data: str) -> Row:
    models = ("none", "MemGuard")
    claims = _better_than_network(models[:1])
    wanted = rf"error of calibration, {either(*models)} @ .*|none: (risk|network), error of calibration"
    more = ("the paper's numbers are missing from our copy", "both sides are weighted to the prior", _OF_RISK)
    return of_memguard("appendix-b", data, "calibration of the risk score at other priors", wanted, None, claims, more)


def _appendix_c(data: str) -> Row:
    models = ("none", "MemGuard")
    title, claims = "calibration of the risk score behind MemGuard", _better_than_network(models)
    return of_memguard("appendix-c", data, title, _calibration(*models), None, claims, _BINS)


def _appendix_d(data: str) -> Row:
    return replace(
        _figure4(data), item="appendix-d", title="calibration of the risk score of defended models across networks",
        trial=functools.partial(defended_variants_trial, data), claims=_below_limit(data),
        seconds=2 * _SECONDS4.get(data, 0.0), gpu_hours=0.0 if data in EXTRAS else 20.0,
    )  # fmt: skip


ROWS = (
    *map(_figure1, ("purchase100", *EXTRAS)),
    _FIGURE1_CIFAR100,
    *map(_figure2, ("purchase100", *EXTRAS)),
    *map(_figure3, ("purchase100", *EXTRAS)),
    *map(_figure4, VARIANTS),
    *map(_figure5, ("purchase100", *EXTRAS)),
    *map(_figure6, ("texas100", *EXTRAS)),
    *(_causes(item, data) for item in ("figure7", "figure8", "figure9") for data in _CAUSES),
    *map(_appendix_a, _IMAGES),
    *map(_appendix_b, ("texas100", "location30")),
    *map(_appendix_c, ("texas100", "location30")),
    *map(_appendix_d, ("purchase100", "location30")),
)
