"""White-box attack: a classifier that reads the gradient of each record's loss in the last layer, with the answers."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from vestige.attacks._known_members import member_log_odds, one_hot
from vestige.core.attack import attack


@attack(
    definition="log-odds of membership by a classifier of probabilities, class, loss and last layer's gradient",
    source="Nasr et al. 2019",
    cites="nasr2019comprehensive",
    natural_threshold=0.0,
)
def white_box_gradient(
    known_probabilities: Float[np.ndarray, "known class"],
    known_labels: Int[np.ndarray, " known"],
    known_losses: Float[np.ndarray, " known"],
    known_gradients: Float[np.ndarray, "known input class"],
    known_member: Bool[np.ndarray, " known"],
    probabilities: Float[np.ndarray, "record class"],
    labels: Int[np.ndarray, " record"],
    losses: Float[np.ndarray, " record"],
    gradients: Float[np.ndarray, "record input class"],
    *,
    classifier: Any = None,
) -> Float[np.ndarray, " record"]:
    """Score each record by a classifier that reads probabilities, class, loss and gradient, side by side.

    Idea:
        Gradients show what the model still has to learn of a record. Whoever knows some members can learn how theirs
        look.

    Formula:
        log P(member | p, y, loss, gradient of the last layer) - log P(nonmember | ...), a network

    Args:
        known_probabilities: What the model that the known belong to answered about them.
        known_labels: Their classes, as columns of the answers.
        known_losses: Their cross-entropy [nats].
        known_gradients: Gradient of each one's own loss in the weights of the last layer.
        known_member: Their side.
        probabilities: What the target answered about the records to be scored.
        labels: Their classes.
        losses: Their cross-entropy [nats].
        gradients: Gradient of each one's own loss in the weights of the target's last layer.
        classifier: Anything with `fit` and `predict_proba`, copied; a row holds the probabilities, a column of 0 and 1
            per class, the loss, and the gradient, one input of the layer after the other. None: standardised columns
            and a network with hidden layers of 256, 128 and 64.

    Returns:
        Log-odds of membership, the probabilities bounded below by 1e-30; higher means member.

    Raises:
        InputError: Fewer than 2 known on a side, lengths, columns or labels that do not fit, or something is not
            finite.

    Example:
        >>> from sklearn.naive_bayes import GaussianNB
        >>> p, y, member = np.array([[0.99, 0.01], [0.6, 0.4]] * 4), np.zeros(8, int), np.array([True, False] * 4)
        >>> seen = p, y, -np.log(p[:, 0]), (p - [1.0, 0.0])[:, None]  # a layer with one input, which is 1
        >>> score = white_box_gradient(*seen, member, *(values[:2] for values in seen), classifier=GaussianNB())
        >>> bool(score[0] > 0 > score[1])
        True

    Source:
        Nasr et al. 2019, https://arxiv.org/abs/1812.00910, supervised white-box attack on the last layer, as described
        by Song & Mittal 2021. Deviations: the layers that each kind of feature has of its own, convolutions over the
        gradient among them, are left out, and all features enter the encoder (256-128-64) at once, unless a classifier
        with such layers is given; columns are standardised; cross-entropy instead of squared errors; larger initial
        weights; 10 epochs of Adam with steps of 0.001 instead of the best of 100, because the best could only be chosen
        on records that are then neither learnt from nor scored.
    """
    rows = _rows(probabilities, labels, losses, gradients)
    known_rows = _rows(known_probabilities, known_labels, known_losses, known_gradients)
    return member_log_odds(known_rows, known_member, rows, _encoder() if classifier is None else classifier)


def _rows(probabilities: np.ndarray, labels: np.ndarray, losses: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """All features of a record in a row, in the gradients' precision, because they are nearly all of it."""
    classes = one_hot(labels, probabilities.shape[1])
    flat = gradients.reshape(len(gradients), gradients.shape[1] * gradients.shape[2])
    return np.concatenate([probabilities, classes, losses[:, None], flat], axis=1, dtype=flat.dtype)


def _encoder() -> Any:
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), MLPClassifier((256, 128, 64), max_iter=10, random_state=0))
