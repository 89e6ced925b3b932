"""Label-only attacks with fewer queries: from scores after so many to AUC and true-positive rates."""

import numpy as np

from vestige.auditing.results.inputs import AuditInputs
from vestige.auditing.results.measures import curve_rows
from vestige.core.result import Power
from vestige.evaluation.roc import roc


def power_of(audited: AuditInputs) -> tuple[Power, ...]:
    """Return AUC and TPR of every label-only attack after as many queries as were noted, where records resolve them."""
    curves = {}
    for one in audited.attacks.played:
        budgets, scores = one.by_budget or ((), np.empty((0, 0)))
        for n_queries, of_records in zip(budgets, scores.T, strict=True):
            of_units = audited.units.score(of_records)
            curves[one.attack.name, str(n_queries)] = roc(
                of_units[audited.units.member], of_units[~audited.units.member]
            )
    return tuple(
        Power(row.attack, int(row.group), row.metric, row.value, row.interval.lower, row.interval.upper)
        for row in (curve_rows(curves) if curves else ())
        if row.usable
    )
