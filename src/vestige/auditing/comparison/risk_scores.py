"""The privacy risk score of models under a defence: its distribution, whether it is right, and what it calls."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from vestige.attacks.modified_entropy import modified_entropy
from vestige.auditing.comparison.over_records import Measure, mean, precision
from vestige.core.outputs import Logits, Probabilities
from vestige.core.probabilities import from_logits, from_probabilities
from vestige.evaluation.risk import fit_risk, reliability, risk_scores

PRIVACY_RISK = "privacy_risk_score"
THRESHOLDS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
"""Song & Mittal, table 6."""
LEVELS = tuple(round(0.05 * step, 2) for step in range(21))
"""Where the distribution over members is looked at."""

_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Entropies:
    """Modified entropies of what models under one defence answered.

    Attributes:
        of_models: Of each model about each record [nats].
        labels: True class of each record.
        n_classes: Classes.
    """

    of_models: Float[np.ndarray, "model record"]
    labels: Int[np.ndarray, " record"]
    n_classes: int


def entropies_of(answers: list[Logits] | list[Probabilities], labels: np.ndarray, n_classes: int) -> Entropies:
    """Return the modified entropies of models' answers, a model each."""
    tables = (from_logits(a.whole()) if isinstance(a, Logits) else from_probabilities(a.whole()) for a in answers)
    return Entropies(np.stack([-modified_entropy(table, labels) for table in tables]), labels, n_classes)


def risk_in_turn(
    entropies: Entropies, is_in: Bool[np.ndarray, "model record"], draws: Int[np.ndarray, " model"]
) -> Iterator[tuple[int, dict[str, Measure]]]:
    """Measure the privacy risk score of each model, by histograms of one that was not drawn with it.

    Args:
        entropies: Of all models under one defence.
        is_in: Whether each model was trained on each record.
        draws: Number of the pair of each model.

    Yields:
        The place of a model, and by metric: `rmse` and `rmse_weighted` of the score against the share of members in ten
        bins; precision and recall of calling those at or above a risk; the share of members at or below each risk.

    Source:
        Song & Mittal 2021, section 4, figures 3, 5 and 6, and table 6, on defended models; the source of the histograms
        is the next model under the same defence.
    """
    n = len(draws)
    for place in range(n):
        source = next(((place + step) % n for step in range(1, n) if draws[(place + step) % n] != draws[place]), None)
        if source is None:
            continue
        known, side, labels = entropies.of_models[source], is_in[place], entropies.labels
        table = fit_risk(known, labels, is_in[source], entropies.n_classes)
        yield place, _measures(risk_scores(table, entropies.of_models[place], labels), side)


def _measures(risk: Float[np.ndarray, " record"], side: Bool[np.ndarray, " record"]) -> dict[str, Measure]:
    fit, everyone = reliability(risk, side), np.ones_like(side)
    found = {"rmse": Measure(fit.rmse, None), "rmse_weighted": Measure(fit.rmse_weighted, None)}
    for threshold in THRESHOLDS:
        called = risk >= threshold - _ROUNDING
        precise = precision(called, side, everyone)
        found |= {} if precise is None else {f"precision, risk >= {threshold:g}": precise}
        found[f"recall, risk >= {threshold:g}"] = mean(called * 1.0, side)
    for level in LEVELS:
        found[f"share of members, risk <= {level:g}"] = mean((risk <= level + _ROUNDING) * 1.0, side)
    return found
