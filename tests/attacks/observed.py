"""What the attacks are handed, built from a table of logits or probabilities."""

import numpy as np

from vestige.attacks import Attack
from vestige.core.probabilities import ClassProbabilities


def score(attack: Attack, table: ClassProbabilities, labels: np.ndarray) -> np.ndarray:
    """Run an attack on a block of records."""
    signals = {
        "labels": labels,
        "predicted": table.predicted,
        "probabilities": table,
        "losses": -table.of(table.log_p, labels).astype(np.float64),
        "p_true": table.of(table.p, labels),
        "gradient_norms": _norms_of_biases(table.p, labels),
    }
    return attack.score(*(signals[name] for name in attack.reads))


def _norms_of_biases(p: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Gradient norms of a model that is one bias per class: the probabilities less 1 for the true class."""
    return np.asarray(np.linalg.norm(p.astype(np.float64) - np.eye(p.shape[1])[labels], axis=1))


def leaky_logits(n: int, leak: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits, labels and membership of a model that is surer of its members' classes by `leak`."""
    labels = rng.integers(5, size=n)
    member = rng.permutation(n) < n // 2
    logits = rng.normal(scale=1.5, size=(n, 5))
    logits[np.arange(n), labels] += 2 + leak * member
    return logits, labels, member


def referred(
    n: int, leak: float, rng: np.random.Generator, *, scale: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Phi of a target and of 16 models, who is in them, and in the target; records differ much in difficulty."""
    is_in = np.repeat(rng.random((8, n)) < 0.5, 2, axis=0)
    is_in[1::2] = ~is_in[::2]
    member = rng.permutation(n) < n // 2
    difficulty = 5 * rng.normal(size=n)
    phi = scale * (rng.normal(size=n) + difficulty + leak * member)
    return phi, scale * (rng.normal(size=(16, n)) + difficulty + leak * is_in), is_in, member
