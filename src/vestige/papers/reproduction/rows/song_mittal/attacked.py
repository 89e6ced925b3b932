"""What is measured of one model: metrics, the networks, and the risk of its records in both forms."""

import numpy as np
from scipy.special import expit

from vestige.auditing.audit import audit
from vestige.auditing.finished import FinishedAudit
from vestige.auditing.shadow import Shadow
from vestige.core.options import Arithmetic, Options
from vestige.core.predictions import Predictions
from vestige.core.progress import silent
from vestige.papers.reproduction.playing import rate_of, rates_of

METRICS = ("correctness", "confidence", "entropy", "modified_entropy")
NETWORK = "nn_nasr_logits"
"""The network of Nasr et al. 2018 as its code has it."""
PRIORS = (0.1, 0.3, 0.5, 0.7, 0.9)
LEVELS = tuple(round(0.05 * step, 2) for step in range(6, 21))
"""Risks at which the members at or below are counted."""

NOBODY = 0.5
"""Precision of calling nobody, which the paper writes N.A.: that of guessing."""
NOBODY_IN_WORDS = "where nobody is called at a risk, which the paper writes N.A., precision is 0.5 and recall 0"


def metrics_of(target: Predictions, shadow: Predictions) -> dict[str, float]:
    """Accuracy of the attacks on metrics, with a threshold for each class, and with one for all."""
    found = audit(target, adversary=Shadow(shadow), attacks=METRICS, progress=silent)
    return _metrics(found, "shadow")


def _metrics(found: FinishedAudit, source: str) -> dict[str, float]:
    rates = rates_of(found, METRICS[:1], f"{source}_global") | rates_of(found, METRICS[1:], f"{source}_per_class")
    for_all = {f"{a}, for all classes": r for a, r in rates_of(found, METRICS[1:], f"{source}_global").items()}
    return rates | for_all | {"best metric": max(rates.values())}


def measured(model: str, target: Predictions, shadow: Predictions) -> dict[str, float]:
    """Return all that is said of a model without access to its gradients.

    Args:
        model: What it is called.
        target: Its answers about the attacked records.
        shadow: Answers about known records: of the same model, or of a shadow model.
    """
    both = audit(
        target, adversary=Shadow(shadow), attacks=(*METRICS, NETWORK), options=Options(min_cell=0), progress=silent
    )
    numbers = {f"{model}: {name}": value for name, value in _metrics(both, "shadow").items()}
    numbers[f"{model}: network"] = rate_of(both, NETWORK, "natural")
    numbers[f"{model}: network, error of calibration"] = rate_of(both, NETWORK, "shadow", "rmse")
    member = both.records["member"].to_numpy(dtype=bool)
    probability = expit(both.records[NETWORK].to_numpy(dtype=np.float64))
    published = risk_audit(target, shadow)
    numbers |= _calls(model, published) | _calls(f"{model}, smoothed", both)
    risk = published.records["risk"].to_numpy(dtype=np.float64)
    return numbers | distribution(model, risk[member]) | by_tenths("network", model, probability, member)


def risk_audit(target: Predictions, shadow: Predictions, prior: float = 0.5) -> FinishedAudit:
    """Return an audit with the risk of every record in the published form: histograms to which nothing is added."""
    options = Options(arithmetic=Arithmetic.PUBLISHED, min_cell=0, risk_prior=prior)
    return audit(
        target, adversary=Shadow(shadow), attacks=("correctness", "modified_entropy"), options=options, progress=silent
    )


def by_prior(model: str, target: Predictions, shadow: Predictions) -> dict[str, float]:
    """Return the error of the risk score's calibration where other shares of all records are members."""
    found = {}
    for prior in PRIORS:
        summary = risk_audit(target, shadow, prior).risk
        assert summary is not None
        found[f"error of calibration, {model} @ {prior:g}"] = summary.rmse
    return found


def _calls(model: str, found: FinishedAudit) -> dict[str, float]:
    """Whom the risk score calls, and whether it is right, in one of its forms."""
    assert found.risk is not None
    member = found.records["member"].to_numpy(dtype=bool)
    risk = found.records["risk"].to_numpy(dtype=np.float64)
    numbers = {f"{model}: risk, error of calibration": found.risk.rmse}
    for level, precise, recall in zip(found.risk.thresholds, found.risk.precision, found.risk.recall, strict=True):
        numbers[f"{model}: precision at risk {level:g}"] = NOBODY if np.isnan(precise) else precise
        numbers[f"{model}: recall at risk {level:g}"] = recall
    return numbers | by_tenths("risk", model, risk, member)


def distribution(model: str, risk: np.ndarray) -> dict[str, float]:
    """Return the share of members at or below each risk, and a few numbers of their distribution."""
    numbers = {f"at or below, {model} @ {level:g}": float(np.mean(risk <= level + 1e-12)) for level in LEVELS}
    numbers |= {f"{model}: members above risk {t:g}": float(np.mean(risk > t + 1e-12)) for t in (0.6, 0.8)}
    first, third = np.quantile(risk, [0.25, 0.75])
    return numbers | {
        f"{model}: mean risk": float(risk.mean()),
        f"{model}: risk, first quartile": float(first),
        f"{model}: risk, third quartile": float(third),
    }


def by_tenths(what: str, model: str, score: np.ndarray, member: np.ndarray) -> dict[str, float]:
    """Return mean score and share of members of each tenth of the records, by score; equal scores share their members.

    Example:
        >>> found = by_tenths("risk", "none", np.repeat([0.25, 0.75], 10), np.arange(20) % 4 > 1)
        >>> found["risk, none @ 1"], found["members by risk, none @ 1"], found["risk, none @ 10"]
        (0.25, 0.4, 0.75)
    """
    values, place = np.unique(score, return_inverse=True)
    share = np.bincount(place, weights=member, minlength=values.size) / np.bincount(place, minlength=values.size)
    numbers = {}
    for tenth, rows in enumerate(np.array_split(np.sort(place), 10), start=1):
        numbers[f"{what}, {model} @ {tenth}"] = float(values[rows].mean())
        numbers[f"members by {what}, {model} @ {tenth}"] = float(share[rows].mean())
    return numbers
