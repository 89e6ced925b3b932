"""Figures 1 to 6, all of the loss score on CIFAR-10: distributions, curves, sizes, ratios, references and DP-SGD."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from vestige.auditing.finished import FinishedAudit
from vestige.auditing.querying.settings import Querying
from vestige.auditing.shadows.auxiliary_references import (
    references_by_forgetting,
    references_from_models,
    references_from_scratch,
)
from vestige.core.records import Records, joined
from vestige.core.references import References
from vestige.papers import watson
from vestige.papers.reproduction.playing import rate_of
from vestige.papers.reproduction.row import Claim, Paper, Row, Scale, Trial
from vestige.papers.reproduction.rows.watson.games import (
    WAYS,
    Played,
    Quarters,
    calibrated_game,
    sides_of,
)
from vestige.papers.reproduction.rows.watson.tables import SETTINGS, Setting, deviations_of, stand_in
from vestige.papers.reproduction.verdicts import Relation
from vestige.training.dp_sgd import DPSGD

LOSS = Played(scores={"loss": ("loss", "calibration_loss")}, querying=Querying())
_PLAIN, _CALIBRATED = LOSS.scores["loss"]

EDGES = {"loss": np.arange(-9.0, 0.0), "loss, calibrated": np.arange(-4.0, 5.0)}
"""Inner edges of the bins of Figure 1 [nats], the same in every trial."""
FPRS = (0.001, 0.01, 0.1)
RECALLS = (0.01, 0.05, 0.25)
PRIORS = (0.5, 0.1, 0.01)
EPSILONS = (1, 10, 100, 1_000)
_MOST_OF_SMOKE = 100  # a few steps cannot spend more


# ---------------------------------------------------------------------------------------- Figures 1, 2 and 4


def curves_trial(setting: Setting, records: Records, scale: Scale, seed: int) -> dict[str, float]:
    """A target with a reference in each way: distributions, ROC, precision against recall, and ratios of members."""
    of = setting.quarters(records, scale, seed)
    target = of.recipe.fit(of.members, seed=2 * seed)
    found: dict[str, float] = {}
    for way, make in WAYS.items():
        audited = LOSS.audited(
            target, of.private, make(target, of, of.public, of.private, False, None), plain=not found
        )
        names = {"loss": _PLAIN} if not found else {}
        for label, attack in {**names, f"loss, {way}": _CALIBRATED}.items():
            found |= _curve(audited, attack, label)
    return found


def _curve(audited: FinishedAudit, attack: str, label: str) -> dict[str, float]:
    """All that Figures 1, 2 and 4 show of one score."""
    band = next(roc for roc in audited.rocs if roc.attack == attack)
    edges = EDGES["loss" if attack == _PLAIN else "loss, calibrated"]
    found: dict[str, float] = {}
    for side, scores in zip(("members", "nonmembers"), sides_of(audited, attack), strict=True):
        shares = np.bincount(np.searchsorted(edges, scores, side="right"), minlength=edges.size + 1) / scores.size
        found |= {
            f"{side}, {label} @ {place:g}": share
            for place, share in zip([edges[0] - 1, *edges], shares.tolist(), strict=True)
        }
    found |= {f"TPR, {label} @ {fpr:g}": rate_of(audited, attack, "roc", f"tpr_at_fpr_{fpr:g}") for fpr in FPRS}
    found[f"FPR at the best accuracy, {label}"] = band.best_fpr
    found[f"recall at the best accuracy, {label}"] = band.best_tpr
    for prior in PRIORS:
        metric = "balanced_accuracy" if prior == PRIORS[0] else f"accuracy_at_prior_{prior:g}"
        found[f"accuracy, {label} @ {prior:g}"] = rate_of(audited, attack, "oracle", metric)
        at = dict(zip(RECALLS, _precisions(band.tpr, band.precision(prior)), strict=True))
        found[f"precision at recall 0.05, {label} @ {prior:g}"] = at[0.05]
        if prior == PRIORS[0]:
            found |= {f"precision, {label} @ {recall:g}": value for recall, value in at.items()}
    return found


def _precisions(recalls: Sequence[float], precisions: Sequence[float]) -> Iterator[float]:
    """Precision at the first point of the curve that finds as many members as wanted."""
    for wanted in RECALLS:
        yield next(p for recall, p in zip(recalls, precisions, strict=True) if recall >= wanted)


# -------------------------------------------------------------------------------------------------- Figure 3


def sizes_trial(setting: Setting, records: Records, scale: Scale, seed: int) -> dict[str, float]:
    """Targets and references of an eighth to all of a quarter of the records."""
    of = setting.quarters(records, scale, seed)
    found: dict[str, float] = {}
    for share in (1 / 8, 1 / 4, 1 / 2, 1):
        part = _smaller(of, share)
        target = part.recipe.fit(part.members, seed=2 * seed)
        simulator = part.recipe.fit(part.public, seed=2 * seed + 1)
        size = round(share * setting.n_pool / 4)
        of_size = calibrated_game(LOSS, part, target, simulator)
        found |= {f"{name.replace(': ', ', ')} @ {size}": value for name, value in of_size.items()}
    return found


def _smaller(of: Quarters, share: float) -> Quarters:
    """Return the quarters with a share of the records of each, those for validation apart."""

    def some(side: Records) -> Records:
        n = max(2, round(share * side.n_records))
        return side.take(np.sort(np.random.default_rng(0).permutation(side.n_records)[:n]))

    return replace(
        of,
        members=some(of.members),
        nonmembers=some(of.nonmembers),
        public=some(of.public),
        public_others=some(of.public_others),
        spare=some(of.spare),
        simulated=some(of.simulated),
    )


# -------------------------------------------------------------------------------------------------- Figure 5


def references_trial(setting: Setting, records: Records, scale: Scale, seed: int) -> dict[str, float]:
    """One to ten references by forgetting, each of a subsample of all public records."""
    of, n_most = setting.quarters(records, scale, seed), 3 if scale is Scale.SMOKE else 10
    public = joined(of.public, of.public_others)
    target = of.recipe.fit(of.members, seed=2 * seed)
    further = watson.reference_recipe(watson.forgetting_recipe(of.recipe))
    found: dict[str, float] = {}
    for share in (0.1, 0.3, 0.9):
        references = references_by_forgetting(
            target.classifier, further, public, *of.private,
            n_models=n_most, share=share, validation=of.validation, seed=seed,
        )  # fmt: skip
        for n in (1, 2, 3, 5, 10):
            first = references_from_models(references.classifiers[: min(n, n_most)], *of.private)
            audited = LOSS.audited(target, of.private, first, plain=False)
            found[f"AUC, {share:.0%} of the public records @ {n}"] = rate_of(audited, _CALIBRATED, "roc", "auc")
            found[f"accuracy, {share:.0%} of the public records @ {n}"] = rate_of(audited, _CALIBRATED, "oracle")
    return found


# -------------------------------------------------------------------------------------------------- Figure 6


def private_trial(setting: Setting, records: Records, scale: Scale, seed: int) -> dict[str, float]:
    """Targets by DP-SGD, with references that are trained alike, and one without."""
    of = setting.quarters(records, scale, seed)
    found: dict[str, float] = {}
    seen: dict[int, np.ndarray] = {}
    for epsilon in (*EPSILONS, 0):
        spent = min(epsilon, _MOST_OF_SMOKE) if scale is Scale.SMOKE else epsilon
        defences = () if epsilon == 0 else (DPSGD(1.0, epsilon=spent),)
        private = replace(of, recipe=replace(of.recipe, defences=defences))
        target = private.recipe.fit(of.members, seed=2 * seed)
        audited = LOSS.audited(target, of.private, _alike(private, seed), plain=True)
        for label, attack in {"loss": _PLAIN, "loss, calibrated": _CALIBRATED}.items():
            of_score = _rates(audited, attack, label)
            found |= {f"{name} @ {epsilon}" if epsilon else f"no DP: {name}": v for name, v in of_score.items()}
        seen[epsilon] = found_surely(*sides_of(audited, _CALIBRATED))
    late = seen[EPSILONS[-1]] & ~(seen[1] | seen[10])
    return found | {"members found with precision 0.9 at epsilon 1000 and not up to 10": float(late.mean())}


def _alike(private: Quarters, seed: int) -> References:
    """A reference of the same training; DP-SGD ends at no peak, which would tell of records beyond its promise."""
    return references_from_scratch(private.recipe, private.public, *private.private, seed=seed)


def _rates(audited: FinishedAudit, attack: str, label: str) -> dict[str, float]:
    return {
        f"AUC, {label}": rate_of(audited, attack, "roc", "auc"),
        f"accuracy, {label}": rate_of(audited, attack, "oracle"),
        f"TPR at 1 % FPR, {label}": rate_of(audited, attack, "roc", "tpr_at_fpr_0.01"),
    }


def found_surely(members: np.ndarray, nonmembers: np.ndarray) -> np.ndarray:
    """Which members are above the lowest threshold at which more than nine of ten above it are members."""
    thresholds = np.sort(members)[::-1]
    n_right = np.arange(1, members.size + 1)
    n_wrong = nonmembers.size - np.searchsorted(np.sort(nonmembers), thresholds, side="left")
    sure = np.flatnonzero(n_right / (n_right + n_wrong) > 0.9)
    return members >= thresholds[sure[-1]] if sure.size else np.zeros(members.size, dtype=bool)


# ------------------------------------------------------------------------------------------------------ rows

_SMALL, _LARGE = 1_562, 12_500


def _above(better: str, other: str, relation: Relation = Relation.ABOVE) -> Claim:
    return Claim(better=better, other=other, relation=relation)


def _sizes(large: int) -> tuple[Claim, ...]:
    """Claims of Figure 3 on quarters of so many records."""
    sizes = [round(large * share) for share in (1 / 8, 1 / 4, 1 / 2, 1)]
    scores = ("gap", "loss", "loss, calibrated")
    rising = [
        _above(f"{what}, {score} @ {sizes[0]}", f"{what}, {score} @ {large}")
        for what in ("AUC", "accuracy")
        for score in scores
    ]
    return (*rising, *(_above(f"AUC, loss, calibrated @ {size}", f"AUC, loss @ {size}") for size in sizes))


_MEMBER_TAIL = (_above("members, loss, calibrated @ 2", "nonmembers, loss, calibrated @ 2"),)
_CURVES = tuple(
    _above(f"{what}, loss, {way} @ {place:g}", f"{what}, loss @ {place:g}")
    for way in WAYS
    for what, place in (("TPR", 0.01), ("precision", 0.05))
)
_RATIOS = (
    *(_above(f"accuracy, {score} @ 0.01", f"accuracy, {score} @ 0.5") for score in ("loss", "loss, calibrated")),
    *(
        _above(f"precision at recall 0.05, {score} @ 0.5", f"precision at recall 0.05, {score} @ 0.01")
        for score in ("loss", "loss, calibrated")
    ),
    *(
        _above(f"precision at recall 0.05, loss, calibrated @ {prior:g}", f"precision at recall 0.05, loss @ {prior:g}")
        for prior in PRIORS
    ),
)
_MORE = (
    *(
        _above(f"{what}, {share} of the public records @ 10", f"{what}, {share} of the public records @ 1")
        for what in ("AUC", "accuracy")
        for share in ("10%", "30%", "90%")
    ),
    *(
        _above(f"{what}, 90% of the public records @ {n}", f"{what}, 10% of the public records @ {n}")
        for what in ("AUC", "accuracy")
        for n in (1, 10)
    ),
)
_PRIVATE = (
    *(_above(f"TPR at 1 % FPR, loss, calibrated @ {e}", f"TPR at 1 % FPR, loss @ {e}") for e in (100, 1_000)),
    *(_above("no DP: AUC, loss, calibrated", f"AUC, loss, calibrated @ {e}") for e in EPSILONS),
    _above("AUC, loss, calibrated @ 1", "AUC, loss @ 1", Relation.EQUAL),
)
_TITLES: Mapping[str, str] = {
    "figure1": "scores of members and nonmembers",
    "figure2": "ROC and precision against recall",
    "figure3": "AUC and accuracy against the size of the training set",
    "figure4": "ratio of members to nonmembers",
    "figure5": "one to ten references against their share of records",
    "figure6": "DP-SGD from epsilon 1 to 1,000",
}
_GPU_HOURS = {"figure1": 1.0, "figure2": 1.0, "figure3": 2.0, "figure4": 1.0, "figure5": 3.0, "figure6": 8.0}
_ABOUT = {
    "figure1": ("bins of one nat, the outermost open; the paper's are not published",),
    "figure4": ("ratios as weights of members instead of a subsample of them, and the best accuracy at each",),
    "figure5": ("shares 0.1, 0.3 and 0.9 of the public records; those of the figure are not in the text",),
    "figure6": ("clip 1 and delta 1/n; a reference is trained for as many epochs as the target, without a peak",),
}


def _trials(setting: Setting) -> dict[str, Trial]:
    """One trial for the three figures that show the same scores."""
    curves = partial(curves_trial, setting)
    return {
        **dict.fromkeys(("figure1", "figure2", "figure4"), curves),
        "figure3": partial(sizes_trial, setting),
        "figure5": partial(references_trial, setting),
        "figure6": partial(private_trial, setting),
    }


def _row(item: str, trial: Trial, claims: tuple[Claim, ...]) -> Row:
    return Row(
        paper=Paper.WATSON,
        item=item,
        data="cifar10",
        title=_TITLES[item],
        trial=trial,
        claims=claims,
        deviations=(*deviations_of("cifar10"), *_ABOUT.get(item, ())),
        gpu_hours=_GPU_HOURS[item],
    )


_CLAIMS = {
    "figure1": _MEMBER_TAIL,
    "figure2": _CURVES,
    "figure3": _sizes(_LARGE),
    "figure4": _RATIOS,
    "figure5": _MORE,
    "figure6": _PRIVATE,
}
_OF_CIFAR, _OF_JPEG = _trials(SETTINGS["cifar10"]), _trials(SETTINGS["cifar10-jpeg"])
_BUILT = tuple(_row(item, _OF_CIFAR[item], claims) for item, claims in _CLAIMS.items())

ROWS = (
    *_BUILT,
    *(
        replace(stand_in(row, _OF_JPEG[row.item]), claims=_sizes(2_500) if row.item == "figure3" else row.claims)
        for row in _BUILT
    ),
)
"""Figures 1 to 6."""
