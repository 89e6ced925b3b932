"""Where the thresholds come from: a shadow model, the other half of the target's own records, or the attack itself."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from vestige.core.options import Arithmetic
from vestige.evaluation.intervals import is_resolvable
from vestige.evaluation.thresholds import (
    Thresholds,
    fpr_thresholds,
    global_thresholds,
    known_scores,
    per_class_thresholds,
    strict_thresholds,
)
from vestige.evaluation.units import Units

FPRS = (0.1, 0.01, 0.001, 0.0001)
"""False-positive rates reported."""


@dataclass(frozen=True, eq=False)
class Known:
    """Records whose membership the adversary knows, and the target's records their thresholds are used on.

    Attributes:
        units: The known units.
        records: Which of `scores` are theirs, or None for all.
        attacked: Which of the target's records the thresholds are for.
    """

    units: Units
    labels: Int[np.ndarray, " known"]
    records: Bool[np.ndarray, " scored"] | None
    attacked: Bool[np.ndarray, " record"]

    def of(self, scores: Float[np.ndarray, " record"]) -> Float[np.ndarray, " known"]:
        """The known records' scores."""
        return scores if self.records is None else scores[self.records]

    def among(self, records: Bool[np.ndarray, " record"]) -> "Known":
        """Those of the known records of a shadow model, all of whose are known, that it was asked about."""
        return replace(self, units=self.units.restricted(records), labels=self.labels[records], records=records)


@dataclass(frozen=True)
class Rule:
    """How a threshold is set, as the result table names it.

    Attributes:
        source: Where it comes from, `shadow` or `known_half`; empty if nothing is set.
        kind: `natural`, `global`, `per_class`, `strict`, or `fpr_0.01`.
        definition: The rule in one line.
        wanted_fpr: The false-positive rate it is set for, or None.
    """

    source: str
    kind: str
    definition: str
    wanted_fpr: float | None = None

    @property
    def threshold(self) -> str:
        """Its name in the result table, such as `shadow_per_class`."""
        return f"{self.source}_{self.kind}" if self.source else self.kind


@dataclass(frozen=True, eq=False)
class OperatingPoint:
    """A rule applied to one attack: a threshold for every record of the target.

    Attributes:
        rule: How it was set.
        values: Threshold of each record.
        strict: Member iff `score > threshold` instead of `>=`.
    """

    rule: Rule
    values: Float[np.ndarray, " record"]
    strict: bool


def operating_points(
    attack: str,
    source: str,
    known: tuple[Known, ...],
    scores: Float[np.ndarray, " known_record"],
    labels: Int[np.ndarray, " record"],
    n_classes: int,
    arithmetic: Arithmetic,
) -> Iterator[OperatingPoint]:
    """Set every rule's threshold on the known records.

    Args:
        attack: Name of the attack.
        source: `shadow` or `known_half`.
        known: One set of known records for all of the target's, or two that are known for each other.
        scores: Scores of the records `known` selects from.
        labels: Class of each of the target's records.
        n_classes: Number of classes.
        arithmetic: Song & Mittal's literal arithmetic leaves the threshold of a degenerate class at 0.
    """
    sorted_scores = [known_scores(k.units, k.of(scores)) for k in known]
    zero = arithmetic is Arithmetic.PUBLISHED

    def point(rule: Rule, fitted: list[Thresholds]) -> OperatingPoint:
        values = np.empty(labels.size)
        for part, thresholds in zip(known, fitted, strict=True):
            values[part.attacked] = thresholds.of(labels[part.attacked])
        return OperatingPoint(rule, values, fitted[0].strict)

    if attack == "correctness":
        # Song & Mittal: "no threshold". Searching for one could only find "correct" or "everybody".
        always = [Thresholds(np.array([0.5])) for _ in known]
        for name in ("global", "per_class", "strict"):
            definition = "no threshold: member iff classified rightly (a subject: half of its records or more)"
            yield point(Rule(source, name, definition), always)
    else:
        yield point(
            Rule(source, "global", "Song & Mittal 2021: best (TPR+TNR)/2 on known records, score >= t"),
            [global_thresholds(k) for k in sorted_scores],
        )
        fitted = [
            per_class_thresholds(k.units, k.of(scores), k.labels, n_classes, zero_for_degenerate=zero) for k in known
        ]
        degenerate = {c for f in fitted for c in f.fallback_classes}
        note = f"; global threshold in {len(degenerate)} classes without both sides" if degenerate else ""
        definition = f"Song & Mittal 2021: best (TPR+TNR)/2 on known records of the class, score >= t{note}"
        yield point(Rule(source, "per_class", definition), fitted)
        yield point(
            Rule(source, "strict", "Choquette-Choo et al. 2021: best (TPR+TNR)/2 on known records, score > t"),
            [strict_thresholds(k) for k in sorted_scores],
        )
    for fpr in FPRS:
        if all(is_resolvable(fpr, k.units.n_nonmembers) for k in known):
            definition = f"lowest t with at most {fpr:g} of the known nonmembers above it, score > t"
            yield point(Rule(source, f"fpr_{fpr:g}", definition, fpr), [fpr_thresholds(k, fpr) for k in sorted_scores])


def natural_point(threshold: float, n_records: int) -> OperatingPoint:
    """The point at which an attack that decides does so itself: nothing is set on known records.

    Example:
        >>> natural_point(0.0, 3).rule.threshold
        'natural'
    """
    rule = Rule("", "natural", f"the attack's own decision, score > {threshold:g}")
    return OperatingPoint(rule, np.full(n_records, threshold), strict=True)


def known_halves(
    units: Units, labels: Int[np.ndarray, " record"], first: Bool[np.ndarray, " unit"]
) -> tuple[Known, ...]:
    """Two halves of the target's own units, each known while the other is attacked; every record is scored once."""
    in_first = np.asarray(units.of(first))
    return tuple(
        Known(units.restricted(half), labels[half], records=half, attacked=~half) for half in (in_first, ~in_first)
    )


def known_shadow(shadow_units: Units, shadow_labels: Int[np.ndarray, " known"], n_attacked: int) -> tuple[Known, ...]:
    """The shadow model's records, known for all of the target's."""
    return (Known(shadow_units, shadow_labels, records=None, attacked=np.ones(n_attacked, dtype=bool)),)
