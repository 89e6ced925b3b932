"""What attacks that learn from records of known membership share: fit a classifier on the known, score the unknown.

The two are separate arguments everywhere, so that no record can be scored by a classifier that has seen its membership.
"""

import warnings
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from vestige.attacks._row_order import order_of_contents
from vestige.core.errors import InputError
from vestige.core.probabilities import LOG_FLOOR

FEWEST_KNOWN = 2
"""Known records on each side without which nothing is learnt."""


def member_log_odds(
    known_features: np.ndarray, known_member: np.ndarray, features: np.ndarray, classifier: Any
) -> Float[np.ndarray, " record"]:
    """Fit a fresh copy of a classifier on the known records and return the log-odds of membership of the others.

    What it learns is 1 for a nonmember: scikit-learn's networks round the probability of the first class, and so the
    surest members, whom a true-positive rate at a low false-positive rate is about, keep what tells them apart. It is
    given the known in an order that depends on what they hold alone.

    Args:
        known_features: Known record x feature, finite.
        known_member: Side of each known record.
        features: Record x feature of those to be scored, finite.
        classifier: Anything with `fit(X, y)` and `predict_proba(X)`, columns in the order of the sorted labels. It is
            copied, and left as it is.

    Returns:
        `log max(P(member), 1e-30) - log max(P(nonmember), 1e-30)`; higher means member.

    Raises:
        InputError: Fewer than 2 known on a side, lengths or columns that differ, something that is not finite, or a
            classifier that does not answer with two probabilities per record.

    Example:
        >>> from sklearn.linear_model import LogisticRegression
        >>> known, member = np.array([[0.0], [1.0], [4.0], [5.0]]), np.array([False, False, True, True])
        >>> scores = member_log_odds(known, member, np.array([[0.0], [2.5], [5.0]]), LogisticRegression())
        >>> scores[0] < -1, abs(scores[1]) < 0.01, scores[2] > 1
        (np.True_, np.True_, np.True_)
    """
    import sklearn.neural_network  # noqa: F401  (only libraries that are loaded can be limited)
    from sklearn.base import clone
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits  # comes with scikit-learn

    check_known(known_features, known_member, features)
    if not len(features):
        return np.empty(0)
    nonmember = 1 - known_member.astype(np.int64)
    order = order_of_contents(np.column_stack([known_features, nonmember]))
    fitted = clone(classifier, safe=False)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # that a network has had all its epochs is no news
        fitted.fit(known_features[order], nonmember[order])
        probabilities = np.asarray(fitted.predict_proba(features), dtype=np.float64)
    if probabilities.shape != (len(features), 2) or not np.isfinite(probabilities).all():
        raise InputError(
            f"Expected 2 finite probabilities for each of {len(features):,} records, found an answer of shape "
            f"{probabilities.shape} from {type(classifier).__name__}; give a classifier whose predict_proba has a "
            "column per side."
        )
    log_p = np.log(np.maximum(probabilities, LOG_FLOOR))
    return np.asarray(log_p[:, 0] - log_p[:, 1])


def of_sorted(
    known_probabilities: np.ndarray, known_member: np.ndarray, probabilities: np.ndarray, classifier: Any
) -> Float[np.ndarray, " record"]:
    """Return the log-odds of membership by a classifier that reads probabilities in rising order.

    Raises:
        InputError: As `member_log_odds`.
    """
    tables = (np.sort(table, axis=1) for table in (known_probabilities, probabilities))
    return member_log_odds(next(tables), known_member, next(tables), classifier)


def check_known(known_features: np.ndarray, known_member: np.ndarray, features: np.ndarray) -> None:
    """Refuse what no classifier can learn from.

    Raises:
        InputError: As `member_log_odds`.
    """
    if len(known_features) != len(known_member):
        raise InputError(
            f"Expected the membership of each of {len(known_features):,} known records, found {len(known_member):,}; "
            "give one per record."
        )
    if known_features.shape[1:] != features.shape[1:]:
        raise InputError(
            f"Expected the same numbers of the known records and of the others, found {known_features.shape[1:]} and "
            f"{features.shape[1:]} per record; give the answers of models with the same classes."
        )
    n_members = int(np.count_nonzero(known_member))
    if not enough_known(known_member):
        raise InputError(
            f"Expected at least {FEWEST_KNOWN} known members and {FEWEST_KNOWN} known nonmembers, found {n_members:,} "
            f"and {len(known_member) - n_members:,}; give more of them."
        )
    if not (np.isfinite(known_features).all() and np.isfinite(features).all()):
        raise InputError("Expected finite numbers to learn from, found NaN or infinity; look for it in the answers.")


def enough_known(known_member: np.ndarray) -> bool:
    """Whether there are enough known records on each side for a classifier."""
    n_members = int(np.count_nonzero(known_member))
    return min(n_members, len(known_member) - n_members) >= FEWEST_KNOWN


def one_hot(labels: Int[np.ndarray, " record"], n_classes: int) -> Float[np.ndarray, "record class"]:
    """A column of 0 and 1 per class.

    Raises:
        InputError: A label is no class.

    Example:
        >>> one_hot(np.array([1, 0]), 2)
        array([[0., 1.],
               [1., 0.]])
    """
    check_classes(labels, n_classes)
    return np.asarray(np.eye(n_classes)[labels])


def check_classes(labels: Int[np.ndarray, " record"], n_classes: int) -> None:
    """Refuse labels that are no column of the answers.

    Raises:
        InputError: There is one.
    """
    if labels.size and (labels.min() < 0 or labels.max() >= n_classes):
        raise InputError(
            f"Expected labels from 0 to {n_classes - 1}, one class per column of the answers, found {labels.min()} to "
            f"{labels.max()}; give the labels in the model's coding."
        )


def by_class(
    known_features: np.ndarray,
    known_labels: np.ndarray,
    known_member: np.ndarray,
    features: np.ndarray,
    labels: np.ndarray,
    model: Any,
) -> Float[np.ndarray, " record"]:
    """Return the log-odds of membership by a classifier per class, or by one of all classes where too few are known.

    Args:
        known_features: Known record x feature.
        known_labels: Class of each known record.
        known_member: Side of each known record.
        features: Record x feature of those to be scored.
        labels: Class of each of them.
        model: As of `member_log_odds`.

    Raises:
        InputError: As of `member_log_odds`, or there is no class for each record.
    """
    if len(known_labels) != len(known_features) or len(labels) != len(features):
        raise InputError(
            f"Expected a class for each of {len(known_features):,} known records and {len(features):,} others, found "
            f"{len(known_labels):,} and {len(labels):,}; give one per record."
        )
    check_known(known_features, known_member, features)
    scores, left = np.empty(labels.size), np.zeros(labels.size, dtype=bool)
    for label in np.unique(labels):
        rows, known = labels == label, known_labels == label
        if enough_known(known_member[known]):
            scores[rows] = member_log_odds(known_features[known], known_member[known], features[rows], model)
        else:
            left |= rows
    if left.any():
        scores[left] = member_log_odds(known_features, known_member, features[left], model)
    return scores


def network(*hidden: int, epochs: int, step: float = 0.001) -> Any:
    """A network with hidden layers of these sizes: ReLU, Adam, seed 0."""
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier(hidden, max_iter=epochs, learning_rate_init=step, random_state=0)


def standardised(network: Any) -> Any:
    """The network on standardised columns."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), network)
