"""The privacy risk score of every record, and what may be shown of it."""

import numpy as np

from vestige.auditing.case import Case
from vestige.auditing.operating_points import Known
from vestige.auditing.tidy import NAN
from vestige.core.options import Arithmetic
from vestige.core.result import RiskSummary
from vestige.evaluation.risk import RiskTable, fit_risk, reliability, risk_scores

_RISK_THRESHOLDS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)  # P1, table 6


def risk_of(case: Case) -> tuple[np.ndarray | None, RiskSummary | None]:
    """The privacy risk score of every record and its summary over units."""
    name = "modified_entropy"
    if name not in case.scores or name not in case.known_scores or not case.known:
        return None, None
    options = case.options
    entropy = -case.scores[name]
    risk = np.empty(entropy.size)
    for part in case.known:
        table = _risk_table(case, part, -part.of(case.known_scores[name]))
        risk[part.attacked] = risk_scores(table, entropy[part.attacked], case.labels[part.attacked], options.risk_prior)
    units = case.units
    unit_risk = units.score(risk)
    fit = reliability(unit_risk, units.member, options.risk_prior)
    inside, outside = unit_risk[units.member], unit_risk[~units.member]
    levels = np.linspace(0, 1, 101)
    at_or_below = np.searchsorted(np.sort(inside), levels + 1e-12, side="right")
    too_few = np.minimum(at_or_below, inside.size - at_or_below) < options.min_cell
    cdf = np.where(too_few & (at_or_below > 0) & (at_or_below < inside.size), NAN, at_or_below / inside.size)
    chosen = [(inside >= t - 1e-12, outside >= t - 1e-12) for t in _RISK_THRESHOLDS]
    prior = options.risk_prior
    recall = [float(i.mean()) for i, _ in chosen]
    accused = [prior * i.mean() + (1 - prior) * o.mean() for i, o in chosen]
    return risk, RiskSummary(
        prior=prior,
        source=case.source,
        cdf_risk=tuple(levels.tolist()),
        cdf_members=tuple(cdf.tolist()),
        bin_risk=fit.risk,
        bin_member_fraction=fit.member_fraction,
        rmse=fit.rmse,
        rmse_weighted=fit.rmse_weighted,
        thresholds=_RISK_THRESHOLDS,
        precision=tuple(float(prior * r / a) if a else NAN for r, a in zip(recall, accused, strict=True)),
        recall=tuple(recall),
    )


def _risk_table(case: Case, part: Known, entropy: np.ndarray) -> RiskTable:
    member = np.asarray(part.units.of(part.units.member))
    return fit_risk(
        entropy,
        part.labels,
        member,
        case.target.n_classes,
        n_bins=case.options.risk_bins,
        published_edges=case.options.arithmetic is Arithmetic.PUBLISHED,
    )
