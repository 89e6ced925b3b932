"""Classifiers of answers: what tells members is learnt from records whose membership the adversary knows.

The known are arguments of their own, apart from the records that are scored. Each attack takes any classifier; the
default networks are those of the papers as near as scikit-learn has them: ReLU, Adam with steps of 0.001 if not said
otherwise, seed 0, and no more epochs than help against records that were not learnt from.
"""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from vestige.attacks._known_members import (
    by_class,
    check_classes,
    check_known,
    member_log_odds,
    network,
    of_sorted,
    one_hot,
    standardised,
)
from vestige.core.attack import attack


@attack(
    definition="log-odds of membership by a classifier per class, of the probabilities",
    source="Shokri et al. 2017",
    cites="shokri2017membership",
    natural_threshold=0.0,
)
def nn_shokri(
    known_probabilities: Float[np.ndarray, "known class"],
    known_labels: Int[np.ndarray, " known"],
    known_member: Bool[np.ndarray, " known"],
    probabilities: Float[np.ndarray, "record class"],
    labels: Int[np.ndarray, " record"],
    *,
    classifier: Any = None,
) -> Float[np.ndarray, " record"]:
    """Score each record by the classifier of its class, which reads the probabilities of every class.

    A class with fewer than 2 known members or nonmembers is left to a classifier of all known records.

    Idea:
        Whoever knows some members, of a shadow model or of the target, can learn from them how answers about members of
        each class look.

    Formula:
        log P(member | p) - log P(nonmember | p), a network per class

    Args:
        known_probabilities: What the model that the known belong to answered about them.
        known_labels: Their classes, as columns of the answers.
        known_member: Their side.
        probabilities: What the target answered about the records to be scored.
        labels: Their classes.
        classifier: Anything with `fit` and `predict_proba`, copied for each class. None: a network with one hidden
            layer of 64.

    Returns:
        Log-odds of membership, the probabilities bounded below by 1e-30; higher means member.

    Raises:
        InputError: Fewer than 2 known on a side, lengths, columns or labels that do not fit, or something is not
            finite.

    Example:
        >>> from sklearn.naive_bayes import GaussianNB
        >>> sure, unsure = [0.99, 0.01], [0.6, 0.4]
        >>> known, member = np.array([sure, unsure] * 4), np.array([True, False] * 4)
        >>> score = nn_shokri(known, np.zeros(8, int), member, known[:2], np.zeros(2, int), classifier=GaussianNB())
        >>> bool(score[0] > 0 > score[1])
        True

    Source:
        Shokri et al. 2017, https://arxiv.org/abs/1610.05820, and Choquette-Choo et al. 2021, confidence-vector attack.
        Deviations: ReLU instead of leaky ReLU, one output instead of two; 100 epochs, the size of steps and the
        classifier of all classes are ours.
    """
    for of in (known_labels, labels):
        check_classes(of, probabilities.shape[1])
    model = network(64, epochs=100) if classifier is None else classifier
    return by_class(known_probabilities, known_labels, known_member, probabilities, labels, model)


@attack(
    definition="log-odds of membership by a classifier of probabilities and class",
    source="Nasr et al. 2018",
    cites="nasr2018machine",
    natural_threshold=0.0,
)
def nn_nasr(
    known_probabilities: Float[np.ndarray, "known class"],
    known_labels: Int[np.ndarray, " known"],
    known_member: Bool[np.ndarray, " known"],
    probabilities: Float[np.ndarray, "record class"],
    labels: Int[np.ndarray, " record"],
    *,
    classifier: Any = None,
) -> Float[np.ndarray, " record"]:
    """Score each record by a classifier that reads the probability of every class and which is the true one.

    Idea:
        As `nn_shokri`, with one network that is told the true class.

    Formula:
        log P(member | p, y) - log P(nonmember | p, y)

    Args:
        known_probabilities: What the model that the known belong to answered about them.
        known_labels: Their classes, as columns of the answers.
        known_member: Their side.
        probabilities: What the target answered about the records to be scored.
        labels: Their classes.
        classifier: Anything with `fit` and `predict_proba`, copied. None: standardised columns and a network with
            hidden layers of 512, 128 and 64.

    Returns:
        Log-odds of membership, the probabilities bounded below by 1e-30; higher means member.

    Raises:
        InputError: Fewer than 2 known on a side, lengths, columns or labels that do not fit, or something is not
            finite.

    Example:
        >>> from sklearn.naive_bayes import GaussianNB
        >>> known, member = np.array([[0.99, 0.01], [0.6, 0.4]] * 4), np.array([True, False] * 4)
        >>> score = nn_nasr(known, np.zeros(8, int), member, known[:2], np.zeros(2, int), classifier=GaussianNB())
        >>> bool(score[0] > 0 > score[1])
        True

    Source:
        Nasr et al. 2018, https://arxiv.org/abs/1807.05852, whose network reads the prediction vector, as compared with
        in Song & Mittal 2021; for what the published code reads see `nn_nasr_logits`. Deviations: answer and label
        enter one network (the sizes are those of the published network for Texas, whose two branches of 512-64 and 64
        meet in 64) instead of two branches; columns are standardised; larger initial weights; 10 epochs.
    """
    return _answer_and_class(known_probabilities, known_labels, known_member, probabilities, labels, classifier)


@attack(
    definition="log-odds of membership by a classifier of log-probabilities and class",
    source="Nasr et al. 2018, published code",
    cites="nasr2018machine",
    natural_threshold=0.0,
)
def nn_nasr_logits(
    known_log_probabilities: Float[np.ndarray, "known class"],
    known_labels: Int[np.ndarray, " known"],
    known_member: Bool[np.ndarray, " known"],
    log_probabilities: Float[np.ndarray, "record class"],
    labels: Int[np.ndarray, " record"],
    *,
    classifier: Any = None,
) -> Float[np.ndarray, " record"]:
    """Score each record by a classifier that reads the log-probability of every class and which is the true one.

    Idea:
        As `nn_nasr`, of log-probabilities, which keep apart answers that are nearly certain.

    Formula:
        log P(member | log p, y) - log P(nonmember | log p, y)

    Args:
        known_log_probabilities: What the model that the known belong to answered about them [nats], finite.
        known_labels: Their classes, as columns of the answers.
        known_member: Their side.
        log_probabilities: What the target answered about the records to be scored [nats], finite.
        labels: Their classes.
        classifier: As of `nn_nasr`.

    Returns:
        As `nn_nasr`.

    Raises:
        InputError: As `nn_nasr`.

    Example:
        >>> from sklearn.naive_bayes import GaussianNB
        >>> known, zeros = np.log(np.array([[0.99, 0.01], [0.6, 0.4]] * 4)), np.zeros(8, int)
        >>> score = nn_nasr_logits(
        ...     known, zeros, np.array([True, False] * 4), known[:2], zeros[:2], classifier=GaussianNB()
        ... )
        >>> bool(score[0] > 0 > score[1])
        True

    Source:
        The published code of Nasr et al. 2018, https://arxiv.org/abs/1807.05852, which gives its network logits where
        the paper says predictions. Deviations: log-probabilities, which are the logits up to a shift per record and
        which a model that answers with probabilities has as well; cross-entropy, as in the paper, where the code takes
        squared errors; otherwise as `nn_nasr`.
    """
    return _answer_and_class(known_log_probabilities, known_labels, known_member, log_probabilities, labels, classifier)


@attack(
    definition="log-odds of membership by a classifier of the sorted probabilities",
    source="Jia et al. 2019",
    cites="jia2019memguard",
    natural_threshold=0.0,
)
def nn_memguard(
    known_probabilities: Float[np.ndarray, "known class"],
    known_member: Bool[np.ndarray, " known"],
    probabilities: Float[np.ndarray, "record class"],
    *,
    classifier: Any = None,
) -> Float[np.ndarray, " record"]:
    """Score each record by a classifier that reads its probabilities in rising order, and no label.

    Idea:
        Whoever knows some members can learn from them how answers about members look. It is the attack that MemGuard is
        tested against.

    Formula:
        log P(member | sorted p) - log P(nonmember | sorted p), a network

    Args:
        known_probabilities: What the model that the known belong to answered about them.
        known_member: Their side.
        probabilities: What the target answered about the records to be scored.
        classifier: Anything with `fit` and `predict_proba`, copied. None: a network with hidden layers of 512, 256 and
            128.

    Returns:
        Log-odds of membership, the probabilities bounded below by 1e-30; higher means member.

    Raises:
        InputError: Fewer than 2 known on a side, lengths or columns that do not fit, or something is not finite.

    Example:
        >>> from sklearn.naive_bayes import GaussianNB
        >>> known, member = np.array([[0.99, 0.01], [0.4, 0.6]] * 4), np.array([True, False] * 4)
        >>> score = nn_memguard(known, member, np.array([[0.01, 0.99], [0.6, 0.4]]), classifier=GaussianNB())
        >>> bool(score[0] > 0 > score[1])
        True

    Source:
        Jia et al. 2019, https://arxiv.org/abs/1909.10594, the attack that MemGuard is evaluated with, in its published
        code. Deviations: 30 epochs of Adam instead of 400 of plain gradient descent in batches of 64, whose steps fall
        to a tenth at epoch 300.
    """
    model = _memguard_s() if classifier is None else classifier
    return of_sorted(known_probabilities, known_member, probabilities, model)


@attack(
    definition="log-odds of membership by a classifier of the sorted probabilities, rounded to one decimal",
    source="Jia et al. 2019",
    cites="jia2019memguard",
    natural_threshold=0.0,
)
def nn_memguard_rounded(
    known_probabilities: Float[np.ndarray, "known class"],
    known_member: Bool[np.ndarray, " known"],
    probabilities: Float[np.ndarray, "record class"],
    *,
    classifier: Any = None,
) -> Float[np.ndarray, " record"]:
    """Score each record by a classifier that reads its probabilities in rising order, each rounded to one decimal.

    Small noise on answers is rounded away, from those that are learnt from as from those that are scored.

    Idea:
        As `nn_memguard`, against noise on answers: small noise is rounded away.

    Formula:
        log P(member | sorted p, rounded to 0.1) - log P(nonmember | ...), a network

    Args:
        known_probabilities: As of `nn_memguard`.
        known_member: As of `nn_memguard`.
        probabilities: As of `nn_memguard`.
        classifier: As of `nn_memguard`.

    Returns:
        As `nn_memguard`.

    Raises:
        InputError: As `nn_memguard`.

    Example:
        >>> from sklearn.naive_bayes import GaussianNB
        >>> known, member = np.array([[0.99, 0.01], [0.4, 0.6]] * 4), np.array([True, False] * 4)
        >>> score = nn_memguard_rounded(known, member, np.array([[0.01, 0.99], [0.62, 0.38]]), classifier=GaussianNB())
        >>> bool(score[0] > 0 > score[1])
        True

    Source:
        Jia et al. 2019, the adaptive attack by rounding. Deviations: as of `nn_memguard`.
    """
    known, rounded = np.round(known_probabilities, 1), np.round(probabilities, 1)
    return of_sorted(known, known_member, rounded, _memguard_s() if classifier is None else classifier)


@attack(
    definition="log-odds of membership by a classifier per class, of which copies get the true class",
    source="Choquette-Choo et al. 2021, section 3.3",
    cites="choquettechoo2021labelonly",
    natural_threshold=0.0,
)
def nn_augmentation(
    known_correct: Bool[np.ndarray, "known copy"],
    known_labels: Int[np.ndarray, " known"],
    known_member: Bool[np.ndarray, " known"],
    correct: Bool[np.ndarray, "record copy"],
    labels: Int[np.ndarray, " record"],
    *,
    classifier: Any = None,
) -> Float[np.ndarray, " record"]:
    """Score each record by the classifier of its class, which reads which of its augmented copies get the true class.

    A class with fewer than 2 known members or nonmembers is left to a classifier of all known records. Of random
    draws, which have no order, give them sorted along the copies.

    Idea:
        Which augmented copies of a record keep its class forms a pattern. A small network per class learns which
        pattern members have.

    Formula:
        log P(member | right(c_1), ..., right(c_n)) - log P(nonmember | ...), a network per class

    Args:
        known_correct: Whether the model that the known belong to was right about each copy of them.
        known_labels: Their classes.
        known_member: Their side.
        correct: Whether the target was right about each copy of the records to be scored, in the same order.
        labels: Their classes.
        classifier: Anything with `fit` and `predict_proba`, copied for each class. None: a network with two hidden
            layers of 10.

    Returns:
        Log-odds of membership, the probabilities bounded below by 1e-30; higher means member.

    Raises:
        InputError: Fewer than 2 known on a side, or lengths or numbers of copies that do not fit.

    Example:
        >>> from sklearn.naive_bayes import BernoulliNB
        >>> known, member = np.array([[True, True], [True, False]] * 4), np.array([True, False] * 4)
        >>> zeros = np.zeros(8, int)
        >>> score = nn_augmentation(known, zeros, member, known[:2], zeros[:2], classifier=BernoulliNB())
        >>> bool(score[0] > 0 > score[1])
        True

    Source:
        Choquette-Choo et al. 2021, section 3.3 and published code. Deviations: ReLU instead of leaky ReLU, one output
        instead of two; 30 epochs in batches with steps of 0.01, where the code has one epoch, record by record, and
        picks the steps by accuracy in training; the classifier of all classes is ours.
    """
    known_bits, bits = known_correct.astype(np.float64), correct.astype(np.float64)
    model = network(10, 10, epochs=30, step=0.01) if classifier is None else classifier
    return by_class(known_bits, known_labels, known_member, bits, labels, model)


def _memguard_s() -> Any:
    return network(512, 256, 128, epochs=30)


def _answer_and_class(
    known_answers: np.ndarray,
    known_labels: np.ndarray,
    known_member: np.ndarray,
    answers: np.ndarray,
    labels: np.ndarray,
    classifier: Any,
) -> Float[np.ndarray, " record"]:
    """Log-odds by one classifier of a number per class and of which class is the true one."""
    n_classes = answers.shape[1]
    check_known(known_answers, known_member, answers)
    return member_log_odds(
        np.column_stack([known_answers, one_hot(known_labels, n_classes)]),
        known_member,
        np.column_stack([answers, one_hot(labels, n_classes)]),
        standardised(network(512, 128, 64, epochs=10)) if classifier is None else classifier,
    )
