"""Label-only attacks with fewer queries: from scores after so many to AUC and true-positive rates."""

from vestige.auditing.results.case import Case
from vestige.auditing.results.measures import curve_rows
from vestige.core.result import Power
from vestige.evaluation.roc import roc


def power_of(case: Case) -> tuple[Power, ...]:
    """Return AUC and TPR of every label-only attack after as many queries as were noted, where records resolve them."""
    curves = {}
    for attack, (budgets, scores) in case.labels_asked.by_budget.items():
        for place, n_queries in enumerate(budgets):
            of_units = case.units.score(scores[case.keep, place])
            curves[attack, str(n_queries)] = roc(of_units[case.units.member], of_units[~case.units.member])
    return tuple(
        Power(row.attack, int(row.group), row.metric, row.value, row.interval.lower, row.interval.upper)
        for row in (curve_rows(curves) if curves else ())
        if row.usable
    )
