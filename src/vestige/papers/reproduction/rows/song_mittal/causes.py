"""Figures 7, 8 and 9: why some records are at risk."""

import numpy as np

from vestige.auditing.audit import audit
from vestige.auditing.risk_causes.retraining import Retraining
from vestige.auditing.risk_causes.why import RiskCauses, why_at_risk
from vestige.auditing.shadow import Shadow
from vestige.core.options import Arithmetic, Options
from vestige.core.progress import silent
from vestige.core.records import Records
from vestige.papers.reproduction.playing import predictions_of, rows_of, short
from vestige.papers.reproduction.row import Scale
from vestige.papers.reproduction.rows.song_mittal.settings import Shadowed, permuted

N_LEFT_OUT = {Scale.SMOKE: 10, Scale.LAPTOP: 50, Scale.PAPER: 300}
"""Records that a model is trained without, each from a training of its own."""
N_SMOKE = 600
"""Records of each side at the scale `smoke`: classes need some for a picture."""
_FIFTHS = 5


def causes_trial(setting: Shadowed, data: str, records: Records, scale: Scale, seed: int) -> dict[str, float]:
    """A model, and models without each of some records, as in figures 7 to 9; risk from a shadow model."""
    split = setting.split(permuted(records, seed, data))
    members, nonmembers, inside, outside = (
        rows_of(records, rows[: N_SMOKE if scale is Scale.SMOKE else rows.size], Scale.LAPTOP)
        for rows in (split.members, split.nonmembers, split.shadow_members, split.shadow_nonmembers)
    )
    recipe = short(setting.recipe, scale)
    model, shadow = recipe.fit(members, seed=2 * seed), recipe.fit(inside, seed=2 * seed + 1)
    result = audit(
        predictions_of(model, members, nonmembers),
        adversary=Shadow(predictions_of(shadow, inside, outside)),
        attacks=("correctness", "modified_entropy"),
        options=Options(arithmetic=Arithmetic.PUBLISHED, min_cell=0),
        progress=silent,
    )
    retraining = Retraining(recipe, seed=2 * seed, n_records=N_LEFT_OUT[scale])
    why = why_at_risk(
        result, members, nonmembers, model=model.classifier, retraining=retraining, seed=seed, progress=silent
    )
    return {"no correlation": 0.0} | _of_sensitivity(why) | _of_classes(why) | _of_plane(why)


def _of_sensitivity(why: RiskCauses) -> dict[str, float]:
    """Mean and quartiles of sensitivity for each fifth of the left-out records, by risk; equal ones by number."""
    table = why.sensitivity
    assert table is not None
    assert why.sensitivity_correlation is not None
    numbers = {"sensitivity, rank correlation with risk": _known(why.sensitivity_correlation.value)}
    ranked = table.sort_values(["risk", "id"])
    for fifth, rows in enumerate(np.array_split(np.arange(len(ranked)), _FIFTHS), start=1):
        values = ranked["sensitivity"].iloc[rows]
        numbers[f"sensitivity, first quartile @ {fifth}"] = float(values.quantile(0.25))
        numbers[f"sensitivity, mean @ {fifth}"] = float(values.mean())
        numbers[f"sensitivity, third quartile @ {fifth}"] = float(values.quantile(0.75))
    return numbers


def _of_classes(why: RiskCauses) -> dict[str, float]:
    """Generalisation error and mean risk of each class, by generalisation error."""
    table = why.classes.dropna(subset=["generalisation_error", "mean_risk"])
    table = table.sort_values(["generalisation_error", "mean_risk"])
    numbers = {"classes, Pearson correlation": _known(why.classes_correlation.value)}
    for tenth, rows in enumerate(np.array_split(np.arange(len(table)), 10), start=1):
        for column, words in (("generalisation_error", "generalisation error"), ("mean_risk", "mean risk")):
            numbers[f"classes, {words} @ {tenth}"] = float(table[column].iloc[rows].mean())
    return numbers


def _of_plane(why: RiskCauses) -> dict[str, float]:
    """Share of test records whose nearest training record in the picture is of their own class, for either end."""
    plane = why.plane
    assert plane is not None
    training, test = plane[plane["member"]], plane[~plane["member"]]
    distances = (training["x"].to_numpy() - test["x"].to_numpy()[:, None]) ** 2
    distances += (training["y"].to_numpy() - test["y"].to_numpy()[:, None]) ** 2
    own = training["class"].to_numpy()[distances.argmin(axis=1)] == test["class"].to_numpy()
    return {f"test records beside their class, {at} risk": float(own[test["at"] == at].mean()) for at in _ENDS}


_ENDS = ("lowest", "highest")


def _known(value: float) -> float:
    """A number that is not defined where nothing varies, as on the few records of the scale smoke, counts as 0."""
    return 0.0 if value != value else value
