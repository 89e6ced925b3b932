"""Records that a comparison looks at by themselves: outliers, and canaries that are mislabelled on purpose."""

from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool

from vestige.auditing.comparison.over_records import Measure, precision, rate
from vestige.auditing.comparison.rates import FPRS, GAP, RATE, RATIO, Scored
from vestige.auditing.shadows.answers import embeddings_of_first
from vestige.auditing.shadows.training import Shadows
from vestige.core.errors import InputError, TrainingError, UnsupportedModelError
from vestige.core.records import Records
from vestige.core.seeds import stream
from vestige.evaluation.intervals import is_resolvable
from vestige.evaluation.outliers import find_outliers
from vestige.evaluation.roc import Roc
from vestige.evaluation.thresholds import KnownScores, strict_thresholds
from vestige.training.bank import Bank

CANARIES, OUTLIERS = "canaries", "outliers"
AT_SOURCE = ", source threshold"
_NATURAL = {GAP: 0.5, RATIO: 0.0}  # right, and more likely a member than not


@dataclass(frozen=True, eq=False)
class Marked:
    """Some of the records.

    Attributes:
        name: What they are.
        records: Which.
        not_judged_by: Numbers of models that do not judge them.
    """

    name: str
    records: Bool[np.ndarray, " record"]
    not_judged_by: frozenset[int] = frozenset()


@dataclass(frozen=True, eq=False)
class Mislabelled:
    """Records some of which have a wrong label on purpose: a model knows these by heart, or not at all.

    Attributes:
        records: All of them.
        is_canary: Which have a wrong label.
    """

    records: Records
    is_canary: Bool[np.ndarray, " record"]

    def __str__(self) -> str:
        """What was done, for whoever keeps the models."""
        return (
            f"CANARIES: {int(self.is_canary.sum()):,} of {self.records.n_records:,} records were given another label, "
            "drawn at random. Every model was trained with half of them; accuracies are of the other records. "
            "Keep none of these models."
        )


def mislabelled(records: Records, n_canaries: int, seed: int = 0) -> Mislabelled:
    """Give random records a random other label, as canaries of a comparison of defences.

    Args:
        records: All records.
        n_canaries: How many are mislabelled.
        seed: Which, and with what label.

    Raises:
        InputError: There would be no canary, or more than half of the records would be.

    Example:
        >>> found = mislabelled(Records(np.zeros((6, 1)), np.array([0, 1, 2, 0, 1, 2])), 3)
        >>> int((np.asarray(found.records.labels) != np.array([0, 1, 2, 0, 1, 2])).sum())
        3

    Source:
        Aerni et al. 2024, section 5: mislabelled samples stand for the most vulnerable ones. Theirs are 500 in a data
        set that every model is trained on otherwise.
    """
    n = records.n_records
    if not 1 <= n_canaries <= n // 2 or records.n_classes < 2:
        raise InputError(f"Expected 1 to {n // 2:,} canaries among {n:,} records, found {n_canaries:,}; 1 % is usual.")
    draws = stream(seed, "canaries")
    chosen = draws.choice(n, n_canaries, replace=False)
    labels = np.array(records.labels)
    labels[chosen] = (labels[chosen] + draws.integers(1, records.n_classes, n_canaries)) % records.n_classes
    return Mislabelled(replace(records, labels=labels), np.isin(np.arange(n), chosen))


def outliers_of(undefended: Shadows, bank: Bank) -> Marked | str:
    """Return the records that the first undefended model finds unlike the others; or why they are not known.

    That model, and those drawn with it, judge no outlier.

    Args:
        undefended: Models without a defence.
        bank: Where they are.

    Source:
        Choquette-Choo et al. 2021, section 7 and figure 11: 2 % of the records, by the features of a model that is not
        the target.
    """
    try:
        _, features = embeddings_of_first(undefended, bank, undefended.plan.records)
        found = find_outliers(features)
    except UnsupportedModelError:
        return "No outliers are shown: models have no last layer of weights, whose inputs tell which records are alike."
    except (InputError, TrainingError) as error:
        return f"No outliers are shown: {error}"
    drawn = undefended.plan.drawn_together
    own = np.flatnonzero(drawn == drawn[np.flatnonzero(undefended.done)[0]])
    return Marked(OUTLIERS, found.is_outlier, frozenset(own.tolist()))


@dataclass(frozen=True, eq=False)
class Sources:
    """Thresholds that attacks would set on models that are not the target: the source models of label-only attacks.

    Attributes:
        entered: By attack and by number of the pair of a model, its threshold; the last one of a pair counts.
    """

    entered: dict[str, dict[int, float]] = field(default_factory=dict)

    def enter(self, scored: Scored, curve: Roc, draw: int) -> None:
        """Set an attack's threshold on one model: the strict one of the best accuracy, as audits have it."""
        members, nonmembers = scored.scores[scored.side], scored.scores[~scored.side]
        found = strict_thresholds(KnownScores(members, nonmembers, curve))
        self.entered.setdefault(scored.attack, {})[draw] = float(found.values[0])

    def threshold(self, attack: str, draw: int) -> float | None:
        """Return the threshold of the pair before a target's; None for the first pair."""
        earlier = [other for other in self.entered.get(attack, {}) if other < draw]
        return self.entered[attack][max(earlier)] if earlier else None


def measures_of_marked(
    scored: Scored, curve: Roc, marked: Marked, at_source: float | None = None
) -> dict[str, Measure]:
    """Return how many of the marked members are found, at the threshold of all, and how precise calls of them are.

    Args:
        scored: What an attack says of one model.
        curve: The model's ROC.
        marked: Records that are looked at by themselves.
        at_source: Threshold that was set on a source model; None without one. The gap attack needs none.

    Source:
        Choquette-Choo et al. 2021, section 7: precision at a source model's threshold. It is not set anew for the
        outliers, which the paper leaves open.
    """
    side, found = scored.side, dict[str, Measure]()
    if scored.model in marked.not_judged_by:
        return found
    if scored.attack != GAP and is_resolvable(FPRS[0], curve.n_nonmembers) and (side & marked.records).any():
        found[f"{RATE}, {marked.name}"] = rate(curve, FPRS[0], scored.scores, side, marked.records)
    own = _NATURAL.get(scored.attack)
    for threshold, where in ((own, ""), (None if scored.attack == GAP else at_source, AT_SOURCE)):
        if threshold is None:
            continue
        called = scored.scores > threshold
        some, everyone = (precision(called, side, rows) for rows in (marked.records, np.ones_like(side)))
        if some is not None and everyone is not None:
            found |= {
                f"precision, all beside {marked.name}{where}": everyone,
                f"precision, {marked.name}{where}": some,
                f"precision gain, {marked.name}{where}": some.less(everyone),
            }
    return found
