"""The privacy risk score of every record, what may be shown of it, and whether networks' probabilities mean as much."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import expit

from vestige.auditing.results.inputs import AuditInputs
from vestige.auditing.results.operating_points import Rule
from vestige.auditing.results.rows import NAN, Counts, Row, call_rows, count_calls, precision
from vestige.auditing.scoring.learnt_scores import Side
from vestige.core.options import Arithmetic
from vestige.core.outputs import Logits, Probabilities
from vestige.core.probabilities import published_dtype
from vestige.core.result import RiskSummary, Status
from vestige.evaluation.intervals import NO_INTERVAL
from vestige.evaluation.risk import Reliability, fit_risk, reliability, risk_scores
from vestige.evaluation.units import Units

_RISK_THRESHOLDS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)  # Song & Mittal, table 6
_ROUNDING = 1e-12
_NAME = "privacy_risk_score"


def risk_of(audited: AuditInputs) -> tuple[np.ndarray | None, RiskSummary | None, list[Row]]:
    """Score every record, and summarise over units what may be shown.

    Of two halves that are known for each other, one alone is counted: a coincidence of both would count twice.

    Returns:
        The risk of every record, its summary, and rows for the result table; nothing where the class probabilities
        are not known on both sides of the known records.
    """
    name = "modified_entropy"
    if name not in audited.scores or name not in audited.known_scores or not audited.known:
        return None, None, []
    published = audited.options.arithmetic is Arithmetic.PUBLISHED
    entropy = -audited.scores[name]
    known = -audited.known_scores[name]
    if published:  # its histograms are of the entropies as they were computed
        entropy, known = (
            entropy.astype(_dtype_of(audited.target)),
            known.astype(_dtype_of(audited.shadow or audited.target)),
        )
    prior = audited.options.risk_prior
    risk = np.empty(entropy.size)
    for part in audited.known:
        table = fit_risk(
            part.of(known),
            part.labels,
            np.asarray(part.units.of(part.units.member)),
            audited.target.predictions.n_classes,
            n_bins=audited.options.risk_bins,
            of_unit=part.units.of_record,
            published=published,
        )
        risk[part.attacked] = risk_scores(table, entropy[part.attacked], audited.target.labels[part.attacked], prior)
    counted = audited.known[0].attacked
    units = audited.units if counted.all() else audited.units.restricted(counted)
    unit_risk, member = units.score(risk[counted]), units.member
    fit = reliability(unit_risk, member, prior)
    cells = zip(fit.n_members, fit.n_nonmembers, strict=True)
    shown = [all(n == 0 or n >= audited.options.min_cell for n in cell) for cell in cells]
    calls = [(t, count_calls(unit_risk >= t - _ROUNDING, member)) for t in _RISK_THRESHOLDS]
    levels = np.linspace(0, 1, 101)
    summary = RiskSummary(
        prior=prior,
        source=audited.source,
        cdf_risk=tuple(levels.tolist()),
        cdf_members=_cdf(unit_risk[member], levels, audited.options.min_cell),
        bin_risk=tuple(r for r, s in zip(fit.risk, shown, strict=True) if s),
        bin_member_fraction=tuple(f for f, s in zip(fit.member_fraction, shown, strict=True) if s),
        rmse=fit.rmse,
        rmse_weighted=fit.rmse_weighted,
        thresholds=_RISK_THRESHOLDS,
        precision=tuple(NAN if _hidden(c, audited) else precision("", prior).value(c) for _, c in calls),
        recall=tuple(NAN if _hidden(c, audited) else c.true_positives / c.n_members for _, c in calls),
    )
    return (
        risk,
        summary,
        [*_rmse_rows(_NAME, audited.source, units, fit), *(row for t, c in calls for row in _rows_at(t, c, audited))],
    )


def _cdf(risk: np.ndarray, levels: np.ndarray, min_cell: int) -> tuple[float, ...]:
    """Share of members at or below each level, in steps of at least `min_cell`: smaller ones wait for the next."""
    cdf = np.empty(levels.size)
    shown = 0
    for i, below in enumerate(np.searchsorted(np.sort(risk), levels + _ROUNDING, side="right").tolist()):
        rest = risk.size - below
        if below == shown or (below - shown >= min_cell and (rest == 0 or rest >= min_cell)):
            shown = below
        cdf[i] = shown / risk.size
    return tuple(cdf.tolist())


def _hidden(counts: Counts, audited: AuditInputs) -> bool:
    """Whether the recall would show a few members: those above the threshold, or those below."""
    return any(
        0 < n < audited.options.min_cell for n in (counts.true_positives, counts.n_members - counts.true_positives)
    )


def _rows_at(threshold: float, counts: Counts, audited: AuditInputs) -> Iterator[Row]:
    counted = "" if audited.options.arithmetic is Arithmetic.PUBLISHED else ", one unit more a bin and side"
    rule = Rule(
        "risk", f"{threshold:g}", f"member iff risk >= {threshold:g}, histograms from {audited.source}{counted}"
    )
    for row in call_rows(_NAME, "all", rule, counts, only=("precision", "precision_at_prior_0.5", "recall")):
        if _hidden(counts, audited):
            row = replace(row, value=NAN, interval=NO_INTERVAL, false_positives=None, status=Status.SUPPRESSED)
        yield row


def reliability_of_learnt(audited: AuditInputs) -> Iterator[Row]:
    """Compare the probability that each attack which learns from known members gives with the share of members.

    Their scores are log-odds of membership where half of the records are members.

    Source:
        Song & Mittal 2021, section 4.2.1 and figure 3b, of the network of Nasr et al. 2018.
    """
    learn = {
        one.attack.name: one
        for one in audited.attacks.played
        if "known_member" in one.attack.reads and one.attack.natural_threshold == 0
    }
    prior = audited.options.risk_prior
    shift = np.log(prior / (1 - prior))
    for scored in audited.scored:
        for name in (name for name in scored.attacks if name in learn):
            units = scored.units
            probability = expit(units.score(scored.of(audited.scores[name])) + shift)
            yield from _rmse_rows(name, learn[name].learned_on, units, reliability(probability, units.member, prior))


def _rmse_rows(attack: str, source: str, units: Units, fit: Reliability) -> Iterator[Row]:
    what = "risk" if attack == _NAME else "probability"
    for metric, value, weights in (("rmse", fit.rmse, "unweighted"), ("rmse_weighted", fit.rmse_weighted, "by units")):
        definition = f"mean {what} against share of members over ten equal bins, {weights}"
        yield Row(
            attack=attack,
            threshold=source,
            metric=metric,
            group="all",
            value=value,
            interval=NO_INTERVAL,
            n_members=units.n_members,
            n_nonmembers=units.n_nonmembers,
            definition=definition,
        )


def _dtype_of(side: Side) -> np.dtype[Any]:
    """What Song & Mittal's arithmetic computes entropies in: its probabilities, or the softmax of logits."""
    output = side.predictions.output(Probabilities) or side.predictions.output(Logits)
    return published_dtype(output.table.dtype)
