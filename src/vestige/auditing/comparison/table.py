"""The tidy table of a comparison of defences."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from vestige.auditing.comparison.family import EARLY, UNDEFENDED, Family, beside
from vestige.auditing.comparison.measured import Compared, Found
from vestige.auditing.comparison.over_records import half_width
from vestige.auditing.comparison.sentences import gain_on

LESS_THAN = ", less than "
"""Before the name of what a defence is compared with."""


@dataclass(frozen=True, kw_only=True)
class DefenceRow:
    """One number of the comparison.

    Attributes:
        defence: Its name; `none` without one.
        adversary: `adaptive`, whose models were trained, and answer, under the same defence; `unaware`, whose models
            know no defence; `any`, for attacks that need no models; or `known half`, who has no models and learns from
            the defended answers about half of the target's own members and nonmembers, to be judged on the others.
        knows_defence: Whether the adversary knows it; who knows half of the records need not.
        attack: Which attack.
        metric: `auc` or `tpr_at_fpr_...`; `..., worst 1 %` of the records most at risk, `..., all, same models` of all
            records by the same models. `risk` is the mean of `comparison.rising.Risks` over records; `risk, records at
            rising risk` that of the records that half of the models chose, by the other half; `share of records at
            rising risk` is how many rise by 0.1 or more by both halves. `..., outliers` and `..., canaries` are of
            these records alone, at the threshold of all; `precision` is of calls at the attack's own threshold, for as
            many members as nonmembers, and `precision gain, outliers` is theirs less that of all. With
            `, source threshold` they are at the threshold that the adversary sets on the models before, of its own.
            `balanced_accuracy` is the mean of the share of members that are called and that of nonmembers that are not:
            at the attack's own threshold, or at one per class that was set on the known half.
            `..., less than early stopping, epoch 8` is how much less the strongest adaptive attack finds than of the
            undefended models at the first epoch as accurate, by the strongest on those: the gain on early stopping.
            Those of `privacy_risk_score` are in `comparison.risk_scores`.
        value: Mean over pairs of models, each model in turn the target.
        lower: Of its 95 % interval over pairs.
        upper: Of its 95 % interval over pairs: what other trainings would show of these records.
        records_lower: Of its 95 % interval over records, or over people: what these models would show of others.
        records_upper: Of its 95 % interval over records.
        difference: Mean less that without a defence, pair by pair: the same records, and the same training sets.
        difference_lower: Of its 95 % interval over pairs.
        difference_upper: Of its 95 % interval over pairs.
        difference_records_lower: Of its 95 % interval over records, paired: the same records before and after.
        difference_records_upper: Of its 95 % interval over records.
        training_accuracy: Mean over the models.
        test_accuracy: Mean over the models.
        n_models: Models that were attacked.
    """

    defence: str
    adversary: str
    knows_defence: bool
    attack: str
    metric: str
    value: float
    lower: float
    upper: float
    records_lower: float
    records_upper: float
    difference: float
    difference_lower: float
    difference_upper: float
    difference_records_lower: float
    difference_records_upper: float
    training_accuracy: float
    test_accuracy: float
    n_models: int


def table_of(found: Mapping[str, Compared]) -> pd.DataFrame:
    """Return a row per number, with the columns of `DefenceRow`."""
    rows, seen = [], set()
    for name, one in found.items():
        label = one.family.name if name.startswith(EARLY) else name
        if label in seen:
            continue
        seen.add(label)
        for adversary, of_attacks in one.by_adversary.items():
            before = found[UNDEFENDED].by_adversary["adaptive" if adversary == "unaware" else adversary]
            for attack, metrics in of_attacks.items():
                for metric, number in metrics.items():
                    undefended = number.before or before.get(attack, {}).get(metric, _UNKNOWN)
                    rows.append(_row((label, adversary, attack, metric), number, undefended, one.family))
        early = found.get(beside(name))
        if early is not None and name != UNDEFENDED:
            attack, metric, gain = gain_on(one, early)
            key = (label, "adaptive", attack, f"{metric}{LESS_THAN}{early.family.name}")
            rows.append(_row(key, gain, _UNKNOWN, one.family))
    return pd.DataFrame([vars(row) for row in rows], columns=[entry.name for entry in fields(DefenceRow)])


_UNKNOWN = Found({})


def _row(key: tuple[str, str, str, str], number: Found, before: Found, family: Family) -> DefenceRow:
    own, change = number.over_pairs, number.more_than(before)
    of_records = _around(own.value, number.influence, family)
    change_of_records = _around(change.value, number.change_of_record(before), family)
    defence, adversary, attack, metric = key
    return DefenceRow(
        defence=defence,
        adversary=adversary,
        knows_defence=adversary == "adaptive",
        attack=attack,
        metric=metric,
        value=own.value,
        lower=own.lower,
        upper=own.upper,
        records_lower=of_records[0],
        records_upper=of_records[1],
        difference=change.value,
        difference_lower=change.lower,
        difference_upper=change.upper,
        difference_records_lower=change_of_records[0],
        difference_records_upper=change_of_records[1],
        training_accuracy=round(float(family.training_accuracy.mean()), 5),
        test_accuracy=round(float(family.test_accuracy.mean()), 5),
        n_models=len(family.numbers),
    )


def _around(value: float, influence: np.ndarray | None, family: Family) -> tuple[float, float]:
    """The interval over records."""
    half = half_width(influence, family.subjects)
    return round(value - half, 5), round(value + half, 5)
