"""What is seen on a model's answers themselves: rounding beyond 0 and 1, and answers that differ when asked again."""

import numpy as np

from vestige.core.outputs import Logits, PredictedLabels, Probabilities
from vestige.core.probabilities import softmax
from vestige.core.result import Check, Validity

_SAME = 1e-4  # difference of a probability that rounding and another order of sums may explain


def within_range(answers: Logits | Probabilities) -> tuple[Logits | Probabilities, tuple[str, ...]]:
    """Return answers, and what is said where probabilities miss 0..1 by rounding, as float32 sums of many trees do."""
    table = answers.whole()
    if isinstance(answers, Logits) or (table.min() >= 0 and table.max() <= 1):
        return answers, ()
    by = max(-table.min(), table.max() - 1)
    said = f"Probabilities missed 0..1 by up to {by:.2g}, as rounded sums do, and were set to 0 and 1 there."
    return Probabilities(table.clip(0, 1)), (said,)


def same_answers(first: np.ndarray, second: np.ndarray, kind: type) -> Check:
    """Compare the answers of a sample with those that the model gave to the same inputs before."""
    name, n = "same_answers", len(first)
    differ, size = first != second, ""
    if kind is not PredictedLabels:
        p, q = (softmax(t.astype(np.float64)) if kind is Logits else t for t in (first, second))
        largest = np.abs(p - q).max(axis=1)
        differ = largest > _SAME
        size = f", by up to {largest.max():.2g} in a probability"
    if not differ.any():
        return Check(name, Validity.VALID, f"Asked again about {n} records, the model gave the same answers.")
    return Check(
        name,
        Validity.LIMITED,
        f"Asked again about {n} records, the model gave other answers for {int(differ.sum())}{size}: it is random, or "
        "answers depend on what is asked with them.",
        "Audit a model in evaluation mode, or a function that returns the mean of several answers: what is random "
        "hides a leak from one query and not from many.",
    )
