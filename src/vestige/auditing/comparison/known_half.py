"""The adversary who knows half of the very target's members and nonmembers, and looks for those of the other half."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from vestige.auditing.comparison.over_records import Measure, area, mean, rate
from vestige.core.attack import Attack
from vestige.core.errors import InputError
from vestige.core.outputs import Logits
from vestige.core.probabilities import from_logits, from_probabilities
from vestige.core.records import Records
from vestige.core.seeds import stream
from vestige.evaluation.intervals import is_resolvable
from vestige.evaluation.roc import roc
from vestige.evaluation.thresholds import per_class_thresholds
from vestige.evaluation.units import halves, make_units

BALANCED = "balanced_accuracy"


@dataclass(frozen=True, kw_only=True, eq=False)
class Halves:
    """What is known of each model's own records, and what attacks learnt from that say of the others.

    Attributes:
        known: Which records of each model the adversary knows: of its members half, and of its nonmembers half.
        scores: By attack, of each model about each record; NaN where it was learnt from; higher means member.
        natural: Score above which each of these attacks calls a record a member.
    """

    known: Bool[np.ndarray, "model record"]
    scores: Mapping[str, Float[np.ndarray, "model record"]]
    natural: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class KnownHalf:
    """An adversary who learns from half of the target's own records.

    It reads the defended answers themselves, so that it need not know the defence.

    Attributes:
        attacks: What it plays; those that do not learn from answers of known members are left to others.
        seed: Which half is known of each model: the same under every defence.
    """

    attacks: Sequence[Attack]
    seed: int

    def of(
        self,
        answers: Sequence[Any],
        records: Records,
        is_in: Bool[np.ndarray, "model record"],
        numbers: Int[np.ndarray, " model"],
    ) -> Halves:
        """Learn from half of each model's records and score the others.

        Args:
            answers: Of each model about all records: probabilities or logits.
            records: The records.
            is_in: Whether each model was trained on each record.
            numbers: Number of each model in the design.
        """
        labels = np.asarray(records.labels)
        units = [make_units(records.subjects, side) for side in is_in]
        firsts = [
            halves(own, stream(self.seed, f"known half of model {number}"))
            for own, number in zip(units, numbers.tolist(), strict=True)
        ]
        known = np.stack([np.asarray(own.of(first)) for own, first in zip(units, firsts, strict=True)])
        scores: dict[str, list[np.ndarray]] = {}
        for answer, side, half in zip(answers, is_in, known, strict=True):
            table = answer.whole()
            p = from_logits(table) if isinstance(answer, Logits) else from_probabilities(table)
            signals = {"probabilities": np.asarray(p.p), "log_probabilities": np.asarray(p.log_p), "labels": labels}
            for name, of_records in _learnt(self.attacks, signals, side, half).items():
                scores.setdefault(name, []).append(of_records)
        every = {name: np.stack(tables) for name, tables in scores.items() if len(tables) == len(is_in)}
        decides = {one.name: one.natural_threshold for one in self.attacks}
        natural = {name: limit for name in every if (limit := decides[name]) is not None}
        return Halves(known=known, scores=every, natural=natural)


def _learnt(
    attacks: Sequence[Attack], signals: Mapping[str, np.ndarray], side: np.ndarray, half: np.ndarray
) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for attack in attacks:
        own = {name.removeprefix("known_") for name in attack.reads if name != "known_member"}
        if "known_member" not in attack.reads or not own <= set(signals):
            continue
        given = {name: signals[name] for name in own}
        try:
            found[attack.name] = _of_others(attack, given, side, half)
        except InputError:  # too few are known to learn from
            continue
    return found


def _of_others(
    attack: Attack, signals: Mapping[str, np.ndarray], side: np.ndarray, half: np.ndarray
) -> Float[np.ndarray, " record"]:
    scores = np.full(side.size, np.nan)
    given: dict[str, Any] = {f"known_{name}": values[half] for name, values in signals.items()}
    given |= {name: values[~half] for name, values in signals.items()}
    scores[~half] = attack.play({**given, "known_member": side[half]})
    return scores


def measures_of_half(
    scores: Float[np.ndarray, " record"],
    side: Bool[np.ndarray, " record"],
    known: Bool[np.ndarray, " record"],
    natural: float | None,
    fprs: Sequence[float],
) -> dict[str, Measure]:
    """Return how well the unknown half of one model's records is told apart by what was learnt from the known half.

    Influences are of the records that are judged; another known half would have taught something else.

    Args:
        scores: Of each record, NaN where it was learnt from.
        side: Whether the model was trained on it.
        known: Whether it was learnt from.
        natural: Score above which the attack calls a record a member; None if it only ranks.
        fprs: False-positive rates that are looked at.
    """
    own, of = scores[~known], side[~known]
    curve = roc(own[of], own[~of])
    found = {"auc": _placed(area(curve, own, of), known)}
    for fpr in fprs:
        if is_resolvable(fpr, curve.n_nonmembers):
            found[f"tpr_at_fpr_{fpr:g}"] = _placed(rate(curve, fpr, own, of), known)
    if natural is not None:
        found[BALANCED] = _told_apart(np.nan_to_num(scores, nan=natural) > natural, side, known)
    return found


def told_by_thresholds(
    scores: Float[np.ndarray, " record"],
    side: Bool[np.ndarray, " record"],
    known: Bool[np.ndarray, " record"],
    labels: Int[np.ndarray, " record"],
    n_classes: int,
) -> Measure:
    """Return how well a threshold per class, set on the known half of one model's records, tells the others apart.

    Args:
        scores: Of each record; higher means member.
        side: Whether the model was trained on it.
        known: Whether the adversary knows that.
        labels: Class of each.
        n_classes: Number of classes.

    Returns:
        The mean of the share of members that are called and that of nonmembers that are not.

    Example:
        >>> scores, side = np.array([0.9, 0.2, 0.8, 0.1]), np.array([True, False, True, False])
        >>> told_by_thresholds(scores, side, np.array([True, True, False, False]), np.zeros(4, dtype=int), 1).value
        0.5

    Source:
        Song & Mittal 2021, section 3.1, with the target's own records instead of a shadow model's. Records are counted,
        of people as well.
    """
    set_on = make_units(None, side[known])
    thresholds = per_class_thresholds(set_on, scores[known], labels[known], n_classes)
    return _told_apart(scores >= thresholds.of(labels), side, known)


def _told_apart(called: np.ndarray, side: np.ndarray, known: np.ndarray) -> Measure:
    right, wrong = mean(called * 1.0, side & ~known), mean(called * 1.0, ~side & ~known)
    less = right.less(wrong)
    assert less.influence is not None  # means know theirs
    return Measure(0.5 + less.value / 2, less.influence / 2)


def _placed(measure: Measure, known: Bool[np.ndarray, " record"]) -> Measure:
    """The same, with no influence of the records that were learnt from."""
    influence = np.zeros(known.size)
    influence[~known] = measure.influence
    return Measure(measure.value, influence)


def measures_in_turn(
    halves_of: Halves,
    is_in: Bool[np.ndarray, "model record"],
    by_threshold: Mapping[str, Float[np.ndarray, "model record"]],
    labels: Int[np.ndarray, " record"],
    n_classes: int,
    fprs: Sequence[float],
) -> Iterator[tuple[str, int, dict[str, Measure]]]:
    """Measure each model in turn.

    Args:
        halves_of: What is known of each, and what was learnt from it.
        is_in: Whether each model was trained on each record.
        by_threshold: By attack, scores of each model about each record that a threshold is set on.
        labels: Class of each record.
        n_classes: Number of classes.
        fprs: False-positive rates that are looked at.

    Yields:
        An attack, the place of a model, and what was measured.
    """
    for place, (side, known) in enumerate(zip(is_in, halves_of.known, strict=True)):
        for name, scores in halves_of.scores.items():
            yield name, place, measures_of_half(scores[place], side, known, halves_of.natural.get(name), fprs)
        for name, scores in by_threshold.items():
            yield name, place, {BALANCED: told_by_thresholds(scores[place], side, known, labels, n_classes)}
