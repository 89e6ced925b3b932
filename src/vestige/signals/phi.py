"""Phi: confidence in the true class on the logit scale, where it is close to a normal distribution.

Every audit reads `phi_of`, and puts answers of exactly 0 or 1 at `limit_of` all answers that it compares.
"""

from typing import Any

import numpy as np
from jaxtyping import Float

from vestige.core.errors import InputError
from vestige.core.outputs import Logits, Loss, Output, Phi, Probabilities
from vestige.core.predictions import Predictions
from vestige.signals.answers import per_row, taken_out

CONFIDENCES: tuple[type[Output], ...] = (Logits, Phi, Probabilities, Loss)
"""What phi is read of, what keeps the most digits first."""

_TINY = 1e-45  # added to both probabilities, as in Carlini et al.'s code: phi lies within -103.62 and 103.62
_CERTAIN = 103.0  # beyond this, phi from probabilities is that of an answer of exactly 0 or 1 [logit]


def phi_from_logits(logits: Any, labels: Any) -> Float[np.ndarray, "*axes"]:
    """Return `z_y - log sum_{j != y} exp z_j` [nats], which is `log p_y - log(1 - p_y)` without forming either.

    Args:
        logits: Unnormalised class scores; any axes, then the class.
        labels: True class, of a shape that fits the axes before the class.

    Returns:
        One number per row, exact however certain the model is.

    Raises:
        InputError: The shapes do not fit, a label is no class, a logit is not finite.

    Example:
        >>> print(phi_from_logits(np.array([[3.0, 1.0, 0.0], [80.0, 1.0, 0.0]]), np.array([0, 0])))
        [ 1.68673831 78.68673831]

    Source:
        Carlini et al. 2022, section IV-C; the stable form is ours.
    """
    return per_row(_of_logits, logits, labels, "logits")


def phi_from_probabilities(
    probabilities: Any, labels: Any, *, n_votes: int | None = None
) -> Float[np.ndarray, "*axes"]:
    """Return `log p_y - log sum_{j != y} p_j` [nats], in float64; prefer logits where there are any.

    The sum goes over the other classes: `1 - p_y` would lose all digits where p_y is near 1. Rows are not rescaled.

    Args:
        probabilities: Class probabilities; any axes, then the class.
        labels: True class, of a shape that fits the axes before the class.
        n_votes: How many votes each probability is a share of, such as a forest's trees: half a vote is added on both
            sides, so that a certain answer of a forest of n trees is at log(2 n + 1), one step beyond the next certain
            ones. If omitted, 1e-45 is added to p and to the others' sum, as Carlini et al. do, and certain answers are
            at 103.6; audits put them elsewhere, see `limit_of`.

    Returns:
        One number per row.

    Raises:
        InputError: The shapes do not fit, a label is no class, an entry is no probability, or the number of votes is
            below 1.

    Example:
        >>> p = np.array([[0.75, 0.25], [1.0, 0.0]])
        >>> print(phi_from_probabilities(p, np.array([0, 0])))
        [  1.09861229 103.61632918]
        >>> print(phi_from_probabilities(p, np.array([0, 0]), n_votes=100))
        [1.0854542  5.30330491]

    Source:
        Carlini et al. 2022, published code. Deviation: the empirical logit is Anscombe's (1956), for forests.
    """
    if n_votes is not None and n_votes < 1:
        raise InputError(f"Expected at least 1 as n_votes, found {n_votes}; give the number of trees.")
    added = _TINY if n_votes is None else 0.5 / n_votes

    def work(block: np.ndarray, truth: np.ndarray) -> np.ndarray:
        check_probabilities(block)
        own = taken_out(block, truth, 0.0)
        return np.asarray(np.log(own + added) - np.log(block.sum(axis=1) + added))

    return per_row(work, probabilities, labels, "probabilities")


def phi_of(kind: type[Output], answers: np.ndarray, labels: np.ndarray) -> Float[np.ndarray, "*axes"]:
    """Return phi of a model's answers as audits read it: infinite where an answer is exactly 0 or 1.

    Args:
        kind: `Logits`, `Phi`, `Probabilities` or `Loss`.
        answers: What the model answered; any axes, then the class where the kind has one number per class.
        labels: True class, of a shape that fits the axes before the class.

    Returns:
        One number per row, an array of its own [logit].

    Raises:
        InputError: As of the function for the kind.

    Example:
        >>> from vestige.core.outputs import Loss, Probabilities
        >>> phi_of(Probabilities, np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([0, 0]))
        array([ 0., inf])
        >>> phi_of(Loss, np.array([0.0]), np.array([0]))
        array([inf])
    """
    if kind is Logits:
        return phi_from_logits(answers, labels)
    if kind is Phi:
        return np.array(answers, dtype=np.float64)
    if kind is Loss:
        return phi_from_losses(answers)
    phi = phi_from_probabilities(answers, labels)
    return np.where(np.abs(phi) >= _CERTAIN, np.copysign(np.inf, phi), phi)


def confidences_of(predictions: Predictions) -> Output | None:
    """Return the outputs that phi is read of, those that keep the most digits first; None if there are none."""
    return next((output for kind in CONFIDENCES if (output := predictions.output(kind)) is not None), None)


def limit_of(*phi: np.ndarray) -> float:
    """Return where phi of an answer of exactly 1 is put, and its negative that of 0: log 2 beyond all other answers.

    That is half of the smallest probability that occurs, as Anscombe's half vote. Infinite phi would undo every mean,
    and a distance of 100, as Carlini et al.'s code has it, every spread of a forest's answers.

    Args:
        phi: Of all answers that are compared: infinite where they are certain, NaN where they are missing.

    Example:
        >>> bool(np.isclose(limit_of(np.array([1.0, np.inf]), np.array([-3.0, np.nan])), 3 + np.log(2)))
        True
    """
    return max(_largest(values) for values in phi) + float(np.log(2.0))


def _largest(phi: np.ndarray) -> float:
    return float(np.max(np.abs(phi), where=np.isfinite(phi), initial=0.0))


def phi_from_losses(losses: Any) -> Float[np.ndarray, "*axes"]:
    """Return `log p - log(1 - p)` [nats] of `p = exp(-loss)`; a loss of exactly 0 gives infinity.

    Args:
        losses: Cross-entropy of the true class [nats], at least 0.

    Returns:
        One number per loss.

    Example:
        >>> print(phi_from_losses(np.array([np.log(2.0), 800.0])))
        [   0. -800.]
    """
    loss = np.maximum(np.asarray(losses, dtype=np.float64), 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(-loss - np.log(-np.expm1(-loss)))


def check_probabilities(block: np.ndarray) -> None:
    """Refuse what cannot be probabilities, such as logits.

    Raises:
        InputError: An entry is below 0 or above 1.
    """
    low, high = block.min(), block.max()
    if low < 0 or high > 1 + 1e-6:
        raise InputError(
            f"Expected probabilities from 0 to 1, found {low if low < 0 else high:.6g}; take the function for logits."
        )


def _of_logits(block: np.ndarray, labels: np.ndarray) -> np.ndarray:
    own = taken_out(block, labels, -np.inf)
    top = block.max(axis=1)
    block -= top[:, None]
    others = np.exp(block, out=block).sum(axis=1)
    return np.asarray(own - top - np.log(others))
