"""Song & Mittal 2021: rows of their tables and figures."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from vestige.auditing.audit import audit
from vestige.auditing.shadow import Shadow
from vestige.core.predictions import Predictions
from vestige.core.progress import silent
from vestige.core.recipe import Model
from vestige.core.records import Records
from vestige.core.seeds import stream
from vestige.data.sets.paper_designs import (
    SongMittalData,
    known_half,
    song_mittal_adversarial_regularisation,
    song_mittal_memguard,
)
from vestige.defences import MemGuard
from vestige.papers import song_mittal
from vestige.papers.reproduction.playing import (
    accuracy_of,
    answers_of,
    behind,
    predictions_of,
    rates_of,
    rows_of,
    short,
)
from vestige.papers.reproduction.row import Claim, Paper, Row, Scale, Trial, not_built
from vestige.papers.reproduction.verdicts import Relation
from vestige.training.adversarial_regularisation import AdversarialRegularisation
from vestige.training.stopping import matched_epoch
from vestige.training.torch_recipe import TorchRecipe

METRICS = ("correctness", "confidence", "entropy", "modified_entropy")


def memguard_trial(
    data: SongMittalData, recipe: TorchRecipe, records: Records, scale: Scale, seed: int
) -> dict[str, float]:
    """One target and one shadow model, undefended and behind MemGuard, as in Table 4.

    The adversary's thresholds are set, class by class, on the shadow model: undefended against the undefended target;
    behind MemGuard with a classifier of the adversary's own (adaptive), or with the target's, as released.
    """
    order = stream(seed, f"reproduction, records of {data.name}").permutation(records.n_records)
    split = song_mittal_memguard(data, order)
    members, defender, nonmembers = (
        rows_of(records, rows, scale) for rows in (split.members, split.defender, split.nonmembers)
    )
    inside, outside = (rows_of(records, rows, scale) for rows in (split.shadow_members, split.shadow_nonmembers))
    trained = short(recipe, scale)
    target, shadow = trained.fit(members, seed=2 * seed), trained.fit(inside, seed=2 * seed + 1)
    guard = MemGuard().fitted(answers_of(target, members), answers_of(target, defender), seed)
    own = MemGuard().fitted(answers_of(shadow, inside), answers_of(shadow, outside), seed)
    found = {"training accuracy": accuracy_of(target, members), "test accuracy": accuracy_of(target, defender)}
    answers, known = predictions_of(target, members, nonmembers), predictions_of(shadow, inside, outside)
    played = {"none": (answers, known)}
    for name, theirs in (("MemGuard", own), ("MemGuard, its own g", guard)):
        played[name] = behind(guard, answers), behind(theirs, known)
    for name, given in played.items():
        found |= {f"{name}: {attack}": rate for attack, rate in _attacked(*given).items()}
    return found


def _attacked(target: Predictions, shadow: Predictions) -> dict[str, float]:
    """Accuracy of the attacks on metrics, with a threshold for each class from the shadow model."""
    audited = audit(target, adversary=Shadow(shadow), attacks=METRICS, progress=silent)
    return rates_of(audited, METRICS[:1], "shadow_global") | rates_of(audited, METRICS[1:], "shadow_per_class")


def known_half_trial(
    data: SongMittalData,
    defended: Callable[[Records], AdversarialRegularisation],
    records: Records,
    scale: Scale,
    seed: int,
) -> dict[str, float]:
    """A model without a defence, one with adversarial regularisation, and the first one stopped early: Tables 2, 3, 6.

    The adversary knows half of the members and of the nonmembers of each model and asks the model itself about them;
    the other halves are attacked. Early stopping is at the epoch whose accuracies are the most like the defended ones.
    """
    order = stream(seed, f"reproduction, records of {data.name}").permutation(records.n_records)
    split = song_mittal_adversarial_regularisation(data, order)
    half = known_half(split.members, split.evaluation, seed=100 + seed)
    members, reference, held_out = (
        rows_of(records, rows, scale) for rows in (split.members, split.reference, split.evaluation)
    )
    regularised = defended(reference)
    recipe = short(regularised.base, scale)
    undefended = recipe.fit(members, seed=seed, checkpoints=range(1, recipe.epochs))
    models = {"none": undefended, "adversarial": replace(regularised, base=recipe).fit(members, seed=seed)}
    found = {name: (accuracy_of(model, members), accuracy_of(model, held_out)) for name, model in models.items()}
    stops = {model.epoch: model for model in (*undefended.checkpoints, undefended)}
    like = {epoch: (accuracy_of(m, members), accuracy_of(m, held_out)) for epoch, m in stops.items()}
    models["early stopping"] = stops[matched_epoch(like, found["adversarial"])]
    numbers: dict[str, float] = {}
    for name, model in models.items():
        numbers[f"{name}: training accuracy"] = accuracy_of(model, members)
        numbers[f"{name}: test accuracy"] = accuracy_of(model, held_out)
        known = [rows_of(records, rows, scale) for rows in (half.known_members, half.known_nonmembers)]
        attacked = [rows_of(records, rows, scale) for rows in (half.attacked_members, half.attacked_nonmembers)]
        numbers |= {f"{name}: {what}": value for what, value in _known(model, known, attacked).items()}
    return numbers


def _known(model: Model, known: list[Records], attacked: list[Records]) -> dict[str, float]:
    """Attacks with thresholds from the known half: for each class, for all, and the risk score's summary."""
    audited = audit(
        predictions_of(model, *attacked),
        adversary=Shadow(predictions_of(model, *known)),
        attacks=METRICS,
        progress=silent,
    )
    found = rates_of(audited, METRICS[:1], "shadow_global") | rates_of(audited, METRICS[1:], "shadow_per_class")
    found |= {f"{a}, for all classes": r for a, r in rates_of(audited, METRICS[1:], "shadow_global").items()}
    risk = audited.risk
    if risk is None:
        return found
    for what in ("precision", "recall"):
        pairs = zip(risk.thresholds, getattr(risk, what), strict=True)
        found |= {f"{what} at risk {threshold:g}": value for threshold, value in pairs}
    return found | {"risk, error of calibration": risk.rmse}


LOCATION = functools.partial(
    memguard_trial, SongMittalData.LOCATION30, replace(song_mittal.location_memguard_recipe(), full_batches=True)
)
TEXAS = functools.partial(
    memguard_trial, SongMittalData.TEXAS100, replace(song_mittal.texas_memguard_recipe(), full_batches=True)
)
PURCHASE_HALF = functools.partial(known_half_trial, SongMittalData.PURCHASE100, song_mittal.purchase_adversarial_recipe)
TEXAS_HALF = functools.partial(known_half_trial, SongMittalData.TEXAS100, song_mittal.texas_adversarial_recipe)

_TABLE4 = {
    "location30": {"none": (0.687, 0.763, 0.616, 0.781), "MemGuard": (0.687, 0.691, 0.521, 0.688)},
    "texas100": {"none": (0.742, 0.790, 0.666, 0.794), "MemGuard": (0.742, 0.741, 0.546, 0.740)},
}
_TABLE2 = {
    "purchase100": {
        "none": (0.998, 0.809, 0.595, 0.671, 0.657, 0.671),
        "adversarial": (0.927, 0.766, 0.581, 0.594, 0.558, 0.595),
        "early stopping": (0.929, 0.764, 0.582, 0.592, 0.559, 0.591),
    },
    "texas100": {
        "none": (0.810, 0.523, 0.644, 0.678, 0.602, 0.677),
        "adversarial": (0.566, 0.464, 0.551, 0.586, 0.535, 0.586),
        "early stopping": (0.593, 0.479, 0.557, 0.594, 0.540, 0.595),
    },
}
_ACCURACIES = ("training accuracy", "test accuracy")
_DRAWN = "records are drawn anew in each trial; the published permutations are one draw"
_CLAIMS4 = (
    Claim(better="none: modified_entropy", other="none: correctness"),
    Claim(better="none: modified_entropy", other="none: entropy"),
    Claim(better="none: modified_entropy", other="none: confidence", relation=Relation.AT_LEAST),
    Claim(better="none: confidence", other="MemGuard: confidence"),
    Claim(better="MemGuard: confidence", other="MemGuard: correctness", relation=Relation.AT_LEAST),
)
_CLAIMS2 = (
    *(Claim(better=f"{name}: modified_entropy", other=f"{name}: correctness") for name in ("none", "adversarial")),
    Claim(better="early stopping: modified_entropy", other="adversarial: modified_entropy", relation=Relation.EQUAL),
)


def _table4(data: str, trial: Trial, *, seconds: float = 0.0, gpu_hours: float = 0.0) -> Row:
    published = {
        f"{name}: {attack}": value
        for name, values in _TABLE4[data].items()
        for attack, value in zip(METRICS, values, strict=True)
    }
    return Row(
        paper=Paper.SONG_MITTAL, item="table4", data=data, title="metric attacks with and without MemGuard",
        trial=trial, published=published, claims=_CLAIMS4, seconds=seconds, gpu_hours=gpu_hours,
        deviations=(_DRAWN, "MemGuard's own network (NN) is measured in docs/defences.md"),
    )  # fmt: skip


_TABLE3 = {
    "none": (0.647, 0.678, None, 0.602, 0.648, 0.677),
    "adversarial": (0.555, 0.586, 0.529, 0.535, 0.554, 0.586),
    "early stopping": (0.558, 0.594, 0.532, 0.540, 0.559, 0.595),
}
"""Texas100: confidence, entropy and modified entropy, each with one threshold for all classes, then one for each."""
_RISKS = (1, 0.9, 0.8, 0.7, 0.6, 0.5)
_TABLE6: Mapping[str, Mapping[str, tuple[Sequence[float | None], Sequence[float | None]]]] = {
    "purchase100": {
        "none": ((None, None, None, 0.634, 0.626, 0.616), (None, None, None, 0.078, 0.551, 0.909)),
        "adversarial": ((0.833, 0.833, 0.659, 0.639, 0.589, 0.565), (0.002, 0.002, 0.005, 0.017, 0.246, 0.763)),
        "early stopping": ((None, None, None, 0.604, 0.571, 0.566), (None, None, None, 0.013, 0.202, 0.752)),
    },
    "texas100": {"none": ((0.854, 0.834, 0.812, 0.770, 0.728, 0.706), (0.212, 0.291, 0.453, 0.661, 0.854, 0.943))},
}
"""Precision and recall at thresholds of the risk score. Of Texas100 without a defence: the MemGuard family's model."""
_FIGURE3 = {"none": 0.05, "adversarial": 0.09, "early stopping": 0.06}


def _numbers(of_models: Mapping[str, Sequence[float | None]], names: Sequence[str]) -> dict[str, float]:
    return {
        f"{model}: {name}": value
        for model, values in of_models.items()
        for name, value in zip(names, values, strict=True)
        if value is not None
    }


def _of_known_half(
    item: str,
    data: str,
    title: str,
    published: dict[str, float],
    claims: Sequence[Claim] = (),
    more: Sequence[str] = (),
) -> Row:
    trial = {"purchase100": PURCHASE_HALF, "texas100": TEXAS_HALF}[data]
    return Row(
        paper=Paper.SONG_MITTAL, item=item, data=data, title=title, trial=trial, published=published,
        claims=claims, deviations=(_DRAWN, *more), gpu_hours=1.0,
    )  # fmt: skip


def _table6(data: str) -> Row:
    names = [f"{what} at risk {t:g}" for what in ("precision", "recall") for t in _RISKS]
    published = _numbers({model: (*p, *r) for model, (p, r) in _TABLE6[data].items()}, names)
    smoothed = "counts of the histogram are smoothed by one; the paper's are not"
    return _of_known_half(
        "table6", data, "members found above a threshold of the risk score", published, (), (smoothed,)
    )


_not_built = functools.partial(not_built, Paper.SONG_MITTAL)


_PER_CLASS = tuple(
    Claim(better=f"{model}: {attack}", other=f"{model}: {attack}, for all classes")
    for model in _TABLE3
    for attack in METRICS[1:]
)
_AGAINST_EARLY = "adversarial regularisation against early stopping"

ROWS = (
    _not_built("table1", "accuracy of attacks on defended models, as first reported and again", "purchase100"),
    *(
        _of_known_half("table2", data, _AGAINST_EARLY, _numbers(_TABLE2[data], (*_ACCURACIES, *METRICS)), _CLAIMS2)
        for data in _TABLE2
    ),
    _of_known_half(
        "table3", "texas100", "one threshold for all classes, and one for each",
        _numbers(_TABLE3, [f"{a}{end}" for a in METRICS[1:] for end in (", for all classes", "")]), _PER_CLASS,
    ),
    _table4("location30", LOCATION, seconds=43.0),
    _table4("texas100", TEXAS, gpu_hours=0.5),
    _not_built("table5", "networks with and without access to gradients, against metrics", "purchase100"),
    *map(_table6, _TABLE6),
    _not_built("figure1", "risk of members, models without a defence", "location30"),
    _not_built("figure2", "test accuracy by epoch", "purchase100"),
    _of_known_half(
        "figure3", "purchase100", "calibration of the risk score",
        _numbers({model: (value,) for model, value in _FIGURE3.items()}, ("risk, error of calibration",)),
    ),
    _not_built("figure4", "calibration of the risk score across networks", "purchase100"),
    _not_built("figure5", "risk of members, with and without adversarial regularisation", "purchase100"),
    _not_built("figure6", "risk of members, with and without MemGuard", "location30"),
    _not_built("figure7", "sensitivity against risk", "texas100", 60.0),
    _not_built("figure8", "risk of a class against its generalisation error", "texas100"),
    _not_built("figure9", "last layer of the classes most and least at risk", "texas100"),
    _not_built("appendix-a", "CH-MNIST and Car196", "ch-mnist"),
    _not_built("appendix-b", "other priors", "texas100"),
    _not_built("appendix-c", "calibration of the risk score behind MemGuard", "texas100"),
    _not_built("appendix-d", "calibration of the risk score of defended models", "purchase100"),
)  # fmt: skip
