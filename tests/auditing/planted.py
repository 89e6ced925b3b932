"""Predictions whose leak is known, because it was planted, and the ways tests look at a result table."""

from typing import Any

import numpy as np
import pandas as pd

from vestige import Predictions
from vestige.core.outputs import Logits
from vestige.core.result import AuditResult

ATTACKS = ("correctness", "loss", "confidence", "max_confidence", "entropy", "modified_entropy")


def logits_of(
    n: int, leak: float, seed: int, n_classes: int = 3, n_members: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits, labels and membership, members first; the true class stands `leak` higher for members."""
    rng = np.random.default_rng([seed, n])
    member = np.arange(n) < (n // 2 if n_members is None else n_members)
    labels = rng.integers(0, n_classes, size=n)
    logits = rng.normal(size=(n, n_classes))
    logits[np.arange(n), labels] += 1.0 + leak * member
    return logits, labels, member


def predictions(n: int, leak: float, seed: int, n_classes: int = 3, **columns: Any) -> Predictions:
    logits, labels, member = logits_of(n, leak, seed, n_classes)
    return Predictions(Logits(logits), labels, member, **columns)


def softmax(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def rows(result: AuditResult, **wanted: Any) -> pd.DataFrame:
    """The rows of a result table in which every named column has the wanted value."""
    table = result.results
    for column, value in wanted.items():
        table = table[table[column] == value]
    return table


def of_attack(result: AuditResult, name: str) -> pd.DataFrame:
    """The rows of an attack that are there whatever else was played: not differences, which are of the strongest."""
    found = rows(result, attack=name)
    return found[~found["metric"].str.startswith("difference_")]


def row(result: AuditResult, **wanted: Any) -> Any:
    """The one such row."""
    found = rows(result, **wanted)
    assert len(found) == 1, f"{len(found)} rows for {wanted}"
    return found.iloc[0]


def without_p_value(result: AuditResult) -> pd.DataFrame:
    """The table without the familywise p-value, which is drawn at random and depends on the order of the records."""
    table = result.results
    drawn = (table["attack"] == "worst") & (table["metric"] == "p_value")
    assert drawn.sum() == 1
    return table[~drawn].reset_index(drop=True)
