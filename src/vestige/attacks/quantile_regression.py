"""QMIA: a record's signal against what a regression expects of a nonmember with its features; no shadow models.

Every record is dealt to a fold, and scored by a regression that learnt from known nonmembers in the other folds: one
that is scored itself is treated like any other record.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from vestige.attacks._row_order import order_of_contents
from vestige.core.attack import attack
from vestige.core.errors import InputError
from vestige.core.seeds import stream

_TREES = {"max_iter": 50, "max_leaf_nodes": 4, "min_samples_leaf": 40, "early_stopping": False}
"""Few, small trees with large leaves: more would learn the noise, and a quantile near 0 or 1 needs many rows. Below 80
known nonmembers nothing of the features is learnt. Early stopping would set rows aside by where they stand."""
_PER_FOLD = 4
"""Fewest known nonmembers per fold, so that two folds still leave enough for the residuals."""
_RESIDUAL_FOLDS = 3


@attack(
    definition="(signal - mean(x)) / std(x), of nonmembers like x",
    source="Bertran et al. 2023",
    cites="bertran2023scalable",
)
def quantile_regression_gaussian(
    signal: Float[np.ndarray, " record"],
    features: Float[np.ndarray, "record feature"],
    is_known_nonmember: Bool[np.ndarray, " record"],
    *,
    subjects: Int[np.ndarray, " record"] | None = None,
    n_folds: int = 5,
    seed: int = 0,
    min_std: float = 1e-3,
) -> Float[np.ndarray, " record"]:
    """Score each record by how many standard deviations its signal lies above a nonmember's with its features.

    A regression of the signal gives the mean; one of the squared residuals, with a gamma likelihood, the variance. The
    residuals are of models that did not learn from their row. No record has a part in the model that scores it.

    Idea:
        What is usual for a record's features can be learnt from nonmembers, without any shadow model. A record whose
        answer is far above it was probably trained on.

    Formula:
        (s - mean(x)) / std(x), s: phi; mean and std: boosted trees of known nonmembers

    Args:
        signal: What rises with membership, such as phi or the hinge margin [logit], finite.
        features: What is known of each record, such as its inputs or an embedding, finite.
        is_known_nonmember: Which records the adversary knows the target was not trained on; nothing is known of the
            others.
        subjects: Number of the person behind each record, whose records are then dealt to one fold. None: each record
            stands alone.
        n_folds: Into how many folds the records are dealt.
        seed: Decides the folds.
        min_std: Floor of a standard deviation, in the signal's unit.

    Returns:
        `(signal - mean) / standard deviation`; higher means member.

    Raises:
        InputError: Too few known nonmembers for the folds, no feature, or something is not finite.

    Example:
        >>> signal, known = np.tile([-1.0, 1.0], 20), np.arange(40) < 30
        >>> score = quantile_regression_gaussian(signal, np.zeros((40, 1)), known)
        >>> bool((score[1::2] > 0).all() and (score[::2] < 0).all())
        True

    Source:
        Bertran et al. 2023, https://arxiv.org/abs/2307.03694, Gaussian form. Deviations: boosted trees instead of a
        network; mean and variance fitted in turn, each by its part of the Gaussian likelihood, instead of together;
        cross-fitted.
    """

    def learn(x: np.ndarray, y: np.ndarray) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        from sklearn.model_selection import cross_val_predict

        expected = cross_val_predict(_regressor("squared_error", seed), x, y, cv=_RESIDUAL_FOLDS)
        mean = _regressor("squared_error", seed).fit(x, y)
        squares = np.maximum((y - expected) ** 2, min_std**2)  # a gamma likelihood wants them above 0
        variance = _regressor("gamma", seed).fit(x, squares)
        return lambda at, of: (of - mean.predict(at)) / np.maximum(np.sqrt(variance.predict(at)), min_std)

    return _cross_fitted(learn, signal, features, is_known_nonmember, subjects, n_folds, seed)


@attack(
    definition="signal - quantile(x), of nonmembers like x",
    source="Bertran et al. 2023",
    cites="bertran2023scalable",
    natural_threshold=0.0,
)
def quantile_regression_at_fpr(
    signal: Float[np.ndarray, " record"],
    features: Float[np.ndarray, "record feature"],
    is_known_nonmember: Bool[np.ndarray, " record"],
    *,
    subjects: Int[np.ndarray, " record"] | None = None,
    fpr: float = 0.01,
    n_folds: int = 5,
    seed: int = 0,
) -> Float[np.ndarray, " record"]:
    """Score each record by how far its signal lies above the quantile that a share `fpr` of such nonmembers exceeds.

    Idea:
        As `quantile_regression_gaussian`: a quantile of what is usual is learnt, which only a given share of nonmembers
        exceeds.

    Formula:
        s - q(x), s: phi; q: the quantile 1 - fpr of known nonmembers like x, by boosted trees

    Args:
        signal: What rises with membership, such as phi or the hinge margin [logit], finite.
        features: What is known of each record, such as its inputs or an embedding, finite.
        is_known_nonmember: Which records the adversary knows the target was not trained on; nothing is known of the
            others.
        subjects: Number of the person behind each record, whose records are then dealt to one fold. None: each record
            stands alone.
        fpr: False-positive rate that calling a record with a positive score a member should have.
        n_folds: Into how many folds the records are dealt.
        seed: Decides the folds.

    Returns:
        `signal - quantile`, in the signal's unit; higher means member.

    Raises:
        InputError: Too few known nonmembers for the folds, no feature, something is not finite, or fpr is not between
            0 and 1.

    Example:
        >>> signal, known = np.tile([-1.0, 1.0], 20), np.arange(40) < 30
        >>> score = quantile_regression_at_fpr(signal, np.zeros((40, 1)), known, fpr=0.1)
        >>> print(score[:4])
        [-2.  0. -2.  0.]

    Source:
        Bertran et al. 2023, https://arxiv.org/abs/2307.03694, pinball loss. Deviations: boosted trees instead of a
        network; cross-fitted.
    """
    if not 0 < fpr < 1:
        raise InputError(f"Expected fpr between 0 and 1, found {fpr:g}; 0.01 is a usual value.")

    def learn(x: np.ndarray, y: np.ndarray) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        model = _regressor("quantile", seed, quantile=1 - fpr).fit(x, y)
        return lambda at, of: of - model.predict(at)

    return _cross_fitted(learn, signal, features, is_known_nonmember, subjects, n_folds, seed)


def _regressor(loss: str, seed: int, **options: float) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(loss=loss, random_state=seed % 2**32, **_TREES, **options)


def _cross_fitted(
    learn: Callable[[np.ndarray, np.ndarray], Callable[[np.ndarray, np.ndarray], np.ndarray]],
    signal: np.ndarray,
    features: np.ndarray,
    known: np.ndarray,
    subjects: np.ndarray | None,
    n_folds: int,
    seed: int,
) -> np.ndarray:
    import sklearn.ensemble  # noqa: F401  (only libraries that are loaded can be limited)
    from threadpoolctl import threadpool_limits  # comes with scikit-learn

    of_record = np.arange(known.size) if subjects is None else np.unique(subjects, return_inverse=True)[1]
    _check(signal, features, np.unique(of_record[known]).size, n_folds)
    x, y = features.astype(np.float64), signal.astype(np.float64)
    score = np.empty(y.size)
    with threadpool_limits(1):  # threads that wait for each other took minutes for seconds of work on shared cores
        for learnt, scored in _folds(x, y, known, of_record, n_folds, seed):
            score[scored] = learn(x[learnt], y[learnt])(x[scored], y[scored])
    return score


def _check(signal: np.ndarray, features: np.ndarray, n_known: int, n_folds: int) -> None:
    if n_folds < 2:
        raise InputError(f"Expected at least 2 folds, found {n_folds}; 5 is a usual number.")
    if n_known < _PER_FOLD * n_folds:
        raise InputError(
            f"Expected at least {_PER_FOLD * n_folds} known nonmembers for {n_folds} folds, found {n_known:,}; "
            f"give more of them."
        )
    if features.shape[1] == 0:
        raise InputError("Expected at least 1 feature per record, found none; give the inputs or an embedding.")
    for name, values in (("signals", signal), ("features", features)):
        if not np.isfinite(values).all():
            raise InputError(f"Expected finite {name}, found NaN or infinity; fill in what is missing.")


def _folds(
    x: np.ndarray, y: np.ndarray, known: np.ndarray, of_record: np.ndarray, n_folds: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each fold, the known nonmembers outside of it and all records in it.

    Units, records or people, are dealt in an order that depends on what their records hold and on the seed alone, so
    that the order in which they are given changes no score. The known are dealt first, so that every fold has its share
    of them.
    """
    order = order_of_contents(np.column_stack([x, y, known]))
    units, first = np.unique(of_record[order], return_index=True)
    dealt = stream(seed, "quantile regression folds").permutation(units[np.argsort(first)])
    is_known = np.zeros(units.size, dtype=bool)
    is_known[of_record[known]] = True
    place = np.empty(units.size, dtype=np.int64)
    place[np.concatenate([dealt[is_known[dealt]], dealt[~is_known[dealt]]])] = np.arange(units.size)
    rows = order[np.argsort(place[of_record[order]], kind="stable")]
    fold = place[of_record[rows]] % n_folds
    for number in range(n_folds):
        others = rows[fold != number]
        yield others[known[others]], rows[fold == number]
