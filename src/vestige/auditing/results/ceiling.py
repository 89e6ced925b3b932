"""What the likelihood ratio of phi would find with infinitely many shadow models, and how far this audit is from it."""

from collections.abc import Mapping

import numpy as np
from scipy import special

from vestige.attacks._predictive import Predictive, predictives
from vestige.auditing.references.phi import ReferencePhi, fewest_on_a_side
from vestige.core.result import Check, Validity
from vestige.evaluation.intervals import is_resolvable
from vestige.evaluation.roc import Roc, point_at_fpr, roc

_FPR = 0.01
_DRAWS = (8, 1_000)  # fewest and most quantiles of a record's density
_MOST_DRAWS = 4_000_000  # of all records


def ceiling(observed: ReferencePhi, keep: np.ndarray, curves: Mapping[str, Roc]) -> Check | None:
    """Say how many members the ratio of the fitted densities finds, and the best attack with these models.

    The densities of a record's phi under IN and OUT models are taken as normal, with the posterior mean and deviation
    of the empirical-Bayes ratio. One threshold on their log-ratio is set for all records; rates are means over records,
    each as a member and as a nonmember, at evenly spaced quantiles.

    Args:
        observed: What target and reference models answered.
        keep: Records that are evaluated.
        curves: ROC of every attack that was played.

    Returns:
        None with several queries or missing answers, fewer than 2 models on a side, or too few nonmembers for 1 %.
    """
    seen = observed.of_target()
    too_few = any(not is_resolvable(_FPR, curve.n_nonmembers) for curve in curves.values())
    if too_few or not curves or seen.phi.shape[1] > 1 or fewest_on_a_side(seen.is_in[:, keep]) < 2:
        return None
    theirs = seen.shadow_phi[:, keep, 0]
    if np.isnan(theirs).any():
        return None
    most = ceiling_rate(*predictives(theirs, seen.is_in[:, keep]), seen.is_in[:, keep].sum(axis=0), len(theirs))
    rates = {name: curve.rates_at(point_at_fpr(curve, _FPR))[0] for name, curve in curves.items()}
    best = max(rates, key=rates.__getitem__)
    message = (
        f"With infinitely many shadow models a likelihood ratio of phi would find about {most:.1%} of the members at "
        f"{_FPR:.0%} false positives, simulated from the fitted densities; with these {len(theirs)} the best attack, "
        f"{best}, finds {rates[best]:.1%}. An attack that reads more than phi can find more."
    )
    return Check("ceiling", Validity.VALID, message)


def ceiling_rate(of_in: Predictive, of_out: Predictive, n_in: np.ndarray, n_models: int) -> float:
    """Return the TPR at 1 % FPR of the log-ratio of two normal densities per record.

    Args:
        of_in: What IN models predict of each record's phi.
        of_out: What OUT models predict.
        n_in: IN models of each record.
        n_models: Models in all.
    """
    n = int(np.clip(_MOST_DRAWS // n_in.size, *_DRAWS))
    normal = special.ndtri((np.arange(n) + 0.5) / n)[:, None]
    # The predictive scale holds the uncertainty of the mean, which infinitely many models would not have.
    std_in = of_in.scale / np.sqrt(1 + 1 / (n_in + 1))
    std_out = of_out.scale / np.sqrt(1 + 1 / (n_models - n_in + 1))

    def log_ratio(phi: np.ndarray) -> np.ndarray:
        z_in, z_out = (phi - of_in.mean) / std_in, (phi - of_out.mean) / std_out
        return np.asarray((z_out**2 - z_in**2) / 2 + np.log(std_out / std_in)).ravel()

    curve = roc(log_ratio(of_in.mean + std_in * normal), log_ratio(of_out.mean + std_out * normal))
    return float(curve.rates_at(point_at_fpr(curve, _FPR))[0])
