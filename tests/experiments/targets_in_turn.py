"""Play models as the target in turn: scores of every attack, their rates, and differences over pairs of targets."""

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Bool, Float

from vestige.attacks._log_means import log_confidence
from vestige.attacks.attack_r import attack_r
from vestige.attacks.base_score import base_score_offline, base_score_online
from vestige.attacks.calibration import calibration_loss
from vestige.attacks.empirical_bayes import empirical_bayes_offline, empirical_bayes_online
from vestige.attacks.lira import lira_offline, lira_online
from vestige.attacks.rmia import rmia_online
from vestige.core.likelihood_ratio import Variance
from vestige.evaluation.roc import point_at_fpr, roc
from vestige.evaluation.trials import Mean
from vestige.papers.reproduction.verdicts import Relation, agrees

FPRS = (0.01, 0.001)
METRICS = ("auc", *(f"tpr_at_fpr_{fpr:g}" for fpr in FPRS))

Phi = Float[np.ndarray, "record query"]
ShadowPhi = Float[np.ndarray, "model record query"]
Attack = Callable[[Phi, ShadowPhi, Bool[np.ndarray, "model record"]], Float[np.ndarray, " record"]]
Rates = Mapping[str, Mapping[str, Float[np.ndarray, " pair"]]]
"""Attack, metric -> its mean over the two targets of each pair."""


def _query_by_query(score: Callable[..., np.ndarray]) -> Attack:
    """For attacks that know no queries: the mean of the scores that each query gives."""
    return lambda phi, theirs, is_in: np.mean(
        [score(phi[:, q], theirs[:, :, q], is_in) for q in range(phi.shape[1])], axis=0
    )


def _rmia(phi: np.ndarray, shadow_phi: np.ndarray, _: np.ndarray) -> np.ndarray:
    """The audited records are the population: there are no others. The share is then a rank of the BASE score."""
    return rmia_online(phi, shadow_phi, phi, shadow_phi)


ATTACKS: dict[str, Attack] = {
    "global_threshold": lambda phi, *_: phi.mean(axis=1),
    "loss": _query_by_query(lambda phi, *_: log_confidence(phi)),
    "lira_online": lira_online,
    "lira_online_per_record": lambda *given: lira_online(*given, variance=Variance.PER_RECORD),
    "lira_offline": lira_offline,
    "lira_offline_per_record": lambda *given: lira_offline(*given, variance=Variance.PER_RECORD),
    "empirical_bayes_online": _query_by_query(empirical_bayes_online),
    "empirical_bayes_offline": _query_by_query(empirical_bayes_offline),
    "base_score_online": _query_by_query(lambda phi, theirs, _: base_score_online(phi, theirs)),
    "base_score_offline": _query_by_query(base_score_offline),
    "calibration_loss": _query_by_query(calibration_loss),
    "rmia_online": _query_by_query(_rmia),
    "attack_r": _query_by_query(attack_r),
}


def play(
    phi: Float[np.ndarray, "model record query"],
    is_in: Bool[np.ndarray, "model record"],
    *,
    n_shadows: int,
    n_pairs: int,
    attacks: Mapping[str, Attack] = ATTACKS,
) -> dict[str, dict[str, Float[np.ndarray, " pair"]]]:
    """Rates of every attack on the first pairs of models, each with the pairs after it as shadow models.

    Both models of a pair are targets with the same shadow models; neither ever is its own or its partner's.
    """
    found = {name: {metric: np.empty(n_pairs) for metric in METRICS} for name in attacks}
    for pair in range(n_pairs):
        shadows = shadows_of(pair, len(phi), n_shadows)
        theirs, theirs_in = phi[shadows].astype(np.float64), is_in[shadows]
        for name, attack in attacks.items():
            rates = [rates_of(attack(phi[i].astype(np.float64), theirs, theirs_in), is_in[i]) for i in _models(pair)]
            for metric in METRICS:
                found[name][metric][pair] = np.mean([r[metric] for r in rates])
    return found


def shadows_of(pair: int, n_models: int, n_shadows: int) -> list[int]:
    """The pairs that follow, around the end."""
    assert n_shadows % 2 == 0
    assert n_shadows <= n_models - 2
    return [i for step in range(n_shadows // 2) for i in _models((pair + 1 + step) % (n_models // 2))]


def _models(pair: int) -> tuple[int, int]:
    return 2 * pair, 2 * pair + 1


def rates_of(scores: Float[np.ndarray, " record"], member: Bool[np.ndarray, " record"]) -> dict[str, float]:
    curve = roc(scores[member], scores[~member])
    return {"auc": curve.auc} | {
        metric: curve.rates_at(point_at_fpr(curve, fpr))[0] for metric, fpr in zip(METRICS[1:], FPRS, strict=True)
    }


def finding(relation: str, difference: Mean) -> str:
    """`shown` if the whole interval agrees with the relation, `contradicted` if none of it does, else `undecided`."""
    low, high = Relation(relation).limits
    if agrees(Relation(relation), difference):
        return "shown"
    return "contradicted" if difference.upper < low or difference.lower > high else "undecided"
