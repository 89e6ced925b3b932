"""Adversarially trained classifier of answers: it learns from answers with noise, as a defence may put on them."""

import numpy as np
from jaxtyping import Bool, Float, Int

from vestige.attacks._known_members import network, of_sorted
from vestige.core.attack import attack
from vestige.core.errors import InputError

_HIDDEN, _EPOCHS, _BATCH = (512, 256, 128), 30, 200
_STEPS = 3  # of the search in each batch, of half the radius


@attack(
    definition="log-odds of membership by a network of the sorted probabilities that was trained adversarially",
    source="Jia et al. 2019; Madry et al. 2018",
    cites="jia2019memguard",
    natural_threshold=0.0,
)
def nn_memguard_adversarial(
    known_probabilities: Float[np.ndarray, "known class"],
    known_member: Bool[np.ndarray, " known"],
    probabilities: Float[np.ndarray, "record class"],
    *,
    radius: float = 0.1,
) -> Float[np.ndarray, " record"]:
    """Score each record by a network that learnt from answers with the noise that misleads it most.

    Idea:
        As `nn_memguard`, against noise on answers: the network learns from answers with the noise that misleads it
        most.

    Formula:
        log P(member | sorted p) - log P(nonmember | sorted p), a network trained adversarially

    Args:
        known_probabilities: As of `nn_memguard`.
        known_member: As of `nn_memguard`.
        probabilities: As of `nn_memguard`.
        radius: Largest Euclidean length of the noise; 0 for none.

    Returns:
        As `nn_memguard`.

    Raises:
        InputError: As `nn_memguard`, or the radius is negative.

    Example:
        >>> known, member = np.array([[0.99, 0.01], [0.4, 0.6]] * 64), np.array([True, False] * 64)
        >>> score = nn_memguard_adversarial(known, member, np.array([[0.01, 0.99], [0.6, 0.4]]))
        >>> bool(score[0] > 0 > score[1])
        True

    Source:
        Jia et al. 2019, the adaptive attack by adversarial training, which is Madry et al. 2018's,
        https://arxiv.org/abs/1706.06083: before each step the noise is sought by 3 projected gradient steps of
        half the radius. Deviations: the radius is ours, as coarse as one decimal; a Euclidean ball, no random
        start; noisy probabilities stay within 0 and 1, their sum is free. The network, its epochs and batches are those
        of `nn_memguard`. Who learns from defended answers of models of its own, another reading of adversarial
        training, is `nn_memguard` under an adversary who adapts.
    """
    if not radius >= 0:
        raise InputError(f"Expected a radius of 0 or more, found {radius:g}; 0.1 is the default.")
    return of_sorted(known_probabilities, known_member, probabilities, AdversariallyTrained(radius))


class AdversariallyTrained:
    """A network for two sides that learns from each batch with the noise that raises its loss most."""

    def __init__(self, radius: float) -> None:
        self.radius = radius

    def fit(self, rows: np.ndarray, side: Int[np.ndarray, " row"]) -> None:
        """Learn: a step of Adam per batch, the first of all without noise, because there are no weights before it.

        The search for noise is most of the work, and float32 halves it; what was learnt is then asked in float64.
        """
        self.network, rng, table = network(*_HIDDEN, epochs=1), np.random.default_rng(0), rows.astype(np.float32)
        for _ in range(_EPOCHS):
            order = rng.permutation(len(rows))
            for start in range(0, len(rows), _BATCH):
                some = order[start : start + _BATCH]
                batch = self.misleading(table[some], side[some]) if hasattr(self.network, "coefs_") else table[some]
                self.network.partial_fit(batch, side[some], classes=[0, 1])
        for weights in (self.network.coefs_, self.network.intercepts_):
            weights[:] = [values.astype(np.float64) for values in weights]

    def predict_proba(self, rows: np.ndarray) -> np.ndarray:
        """Return the probability of each side."""
        return np.asarray(self.network.predict_proba(rows))

    def misleading(self, rows: np.ndarray, side: Int[np.ndarray, " row"]) -> np.ndarray:
        """Return rows with noise that raises the network's loss, of a length of at most the radius."""
        noise = np.zeros_like(rows)
        for _ in range(_STEPS if self.radius else 0):
            slope = self._slope(rows + noise) * np.where(side == 1, -1.0, 1.0)[:, None]
            length = np.linalg.norm(slope, axis=1, keepdims=True)
            noise += self.radius / 2 * slope / np.where(length > 0, length, 1.0)
            noise = np.clip(rows + noise, 0.0, 1.0) - rows
            length = np.linalg.norm(noise, axis=1, keepdims=True)
            noise *= np.minimum(1.0, self.radius / np.where(length > 0, length, 1.0))
        return np.asarray(rows + noise)

    def _slope(self, rows: np.ndarray) -> np.ndarray:
        """Gradient in each row of the log-odds of side 1, whose sign is that of the loss's: its length is not used."""
        values, weights = [rows], self.network.coefs_
        for weight, bias in zip(weights[:-1], self.network.intercepts_[:-1], strict=True):
            values.append(np.maximum(values[-1] @ weight + bias, 0.0))
        slope = np.repeat(weights[-1].T, len(rows), axis=0)
        for value, weight in zip(values[:0:-1], weights[-2::-1], strict=True):
            slope = (slope * (value > 0)) @ weight.T
        return np.asarray(slope)
