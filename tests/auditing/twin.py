"""Naive twins: the definitions of the specification spelled out, record by record, with nothing of the package."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

PRIORS = (0.5, 0.1, 0.01)


def scores_of(logits: np.ndarray, labels: np.ndarray) -> dict[str, list[float]]:
    """Every attack's score of every record, from the textbook formula; higher means member."""
    found: dict[str, list[float]] = {name: [] for name in _FORMULAS}
    for z, y in zip(logits.tolist(), labels.tolist(), strict=True):
        total = sum(math.exp(v) for v in z)
        p = [math.exp(v) / total for v in z]
        for name, formula in _FORMULAS.items():
            found[name].append(formula(p, y))
    return found


def _modified_entropy(p: list[float], y: int) -> float:
    others = sum(q * math.log(1 - q) for i, q in enumerate(p) if i != y)
    return (1 - p[y]) * math.log(p[y]) + others


_FORMULAS: dict[str, Callable[[list[float], int], float]] = {
    "correctness": lambda p, y: float(max(range(len(p)), key=p.__getitem__) == y),
    "loss": lambda p, y: math.log(p[y]),
    "confidence": lambda p, y: p[y],
    "max_confidence": lambda p, y: math.log(max(p)),
    "entropy": lambda p, y: sum(q * math.log(q) for q in p),
    "modified_entropy": _modified_entropy,
}


def sides(scores: Sequence[float], member: Sequence[bool]) -> tuple[list[float], list[float]]:
    pairs = list(zip(scores, member, strict=True))
    return [s for s, m in pairs if m], [s for s, m in pairs if not m]


def auc_by_pairs(scores: Sequence[float], member: Sequence[bool]) -> float:
    inside, outside = sides(scores, member)
    won = sum((a > b) + 0.5 * (a == b) for a in inside for b in outside)
    return won / (len(inside) * len(outside))


def tpr_at_fpr(scores: Sequence[float], member: Sequence[bool], fpr: float) -> tuple[float, int]:
    """TPR and false positives of the last threshold with at most `fpr` of the nonmembers at or above it."""
    inside, outside = sides(scores, member)
    best = (0.0, 0)
    for t in sorted(set(scores), reverse=True):
        false_positives = sum(b >= t for b in outside)
        if false_positives <= fpr * len(outside) + 1e-9:
            best = (sum(a >= t for a in inside) / len(inside), false_positives)
    return best


def quadratic_threshold(inside: Sequence[float], outside: Sequence[float]) -> float:
    """Song & Mittal's rule as published: every observed value, members first, a strictly better accuracy wins, start at
    0."""
    threshold, best = 0.0, 0.0
    for v in [*inside, *outside]:
        if not inside or not outside:
            break  # the ratio is NaN there, and no candidate wins
        accuracy = 0.5 * (sum(a >= v for a in inside) / len(inside) + sum(b < v for b in outside) / len(outside))
        if accuracy > best:
            threshold, best = v, accuracy
    return threshold


def quadratic_strict_threshold(inside: Sequence[float], outside: Sequence[float]) -> float:
    """Choquette-Choo et al.'s rule: distinct values from the highest down and minus infinity, `score > t`, the first of
    the best."""
    threshold, best = math.inf, -1.0
    for t in [*sorted({*inside, *outside}, reverse=True), -math.inf]:
        accuracy = sum(a > t for a in inside) / len(inside) + sum(b <= t for b in outside) / len(outside)
        if accuracy > best + 1e-12:
            threshold, best = t, accuracy
    return threshold


def lowest_threshold_at(outside: Sequence[float], fpr: float) -> float:
    """The lowest observed value that at most `fpr` of the nonmembers exceed."""
    fitting = [t for t in outside if sum(b > t for b in outside) <= fpr * len(outside) + 1e-9]
    return min(fitting)


class Calls(NamedTuple):
    """What an attack's calls come to."""

    tp: int
    m: int
    fp: int
    n: int

    def measures(self) -> dict[str, float]:
        tpr, fpr = self.tp / self.m, self.fp / self.n
        found = {
            "balanced_accuracy": (tpr + 1 - fpr) / 2,
            "precision": self.tp / (self.tp + self.fp) if self.tp + self.fp else math.nan,
            "recall": tpr,
            "f1": 2 * self.tp / (2 * self.tp + self.fp + self.m - self.tp),
            "fpr": fpr,
        }
        for prior in PRIORS:
            accused = prior * tpr + (1 - prior) * fpr
            found[f"precision_at_prior_{prior:g}"] = prior * tpr / accused if accused else math.nan
            if prior != 0.5:
                found[f"accuracy_at_prior_{prior:g}"] = prior * tpr + (1 - prior) * (1 - fpr)
        return found


def calls(called: Sequence[bool], member: Sequence[bool]) -> Calls:
    inside, outside = sides([float(c) for c in called], member)
    return Calls(int(sum(inside)), len(inside), int(sum(outside)), len(outside))


def published_scores(p: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Song & Mittal's script: every logarithm is log(max(q, 1e-30)), all on the dtype as given."""

    def log(q: np.ndarray) -> np.ndarray:
        return np.asarray(np.log(np.maximum(q, 1e-30)))

    rows = np.arange(labels.size)
    reverse = 1 - p
    weights, logs = p.copy(), log(reverse)
    weights[rows, labels], logs[rows, labels] = reverse[rows, labels], log(p)[rows, labels]
    return {
        "confidence": p[rows, labels],
        "entropy": np.sum(p * log(p), axis=1),
        "modified_entropy": np.sum(weights * logs, axis=1),
    }


def published_risk(
    known: np.ndarray, known_labels: np.ndarray, known_member: np.ndarray, m: np.ndarray, labels: np.ndarray
) -> list[float]:
    """Song & Mittal's privacy risk score of modified entropies `m`, from histograms per class of known ones."""
    found = []
    for value, c in zip(np.maximum(m, 1e-10), labels, strict=True):
        a = np.maximum(known[(known_labels == c) & known_member], 1e-10)
        b = np.maximum(known[(known_labels == c) & ~known_member], 1e-10)
        both = np.concatenate([a, b])
        edges = np.logspace(np.log10(both.min()), np.log10(both.max()), 6)
        h1, h2 = np.histogram(a, edges)[0] / len(a), np.histogram(b, edges)[0] / len(b)
        if value >= edges[-1]:
            i = 4
        elif value <= edges[0]:
            i = 0
        else:
            i = max(j for j in range(5) if edges[j] <= value)
        candidates = [i] + [j for t in range(1, 5) for j in (i - t, i + t) if 0 <= j < 5]
        found.append(next(h1[j] / (h1[j] + h2[j]) for j in candidates if h1[j] + h2[j] > 0))
    return found
