"""Attacks that learn from known records, played so that no record is scored by what has seen its membership.

Two things are asked of each: scores of the target's records, and scores of the known records on which thresholds are
set. The latter come from folds of the known, because a record that was learnt from looks more like its side than one
that was not, and a threshold set on such scores would be too high.

Where the target's own records are all there is, one half of them is known and the other half alone is scored. To learn
from each half for the other would score everybody, but a coincidence of the two halves would count twice: what the
first happens to share with the second, the second shares with the first.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from vestige.attacks._known_members import one_hot
from vestige.attacks.attack_p import attack_p
from vestige.core.columns import is_sparse
from vestige.core.errors import InputError
from vestige.core.input_values import holds_numbers, numbers_of
from vestige.evaluation.units import Units

Signals = Mapping[str, np.ndarray]
"""What is observed of each record, by the name under which an attack takes it."""


class Learnt(NamedTuple):
    """What an attack that learns gives.

    Attributes:
        scores: Of each of the target's records, NaN where it was learnt from; higher means member.
        known_scores: Of each known record, by what learnt from known records in other folds, NaN where the record is
            not known; thresholds are set here.
    """

    scores: Float[np.ndarray, " record"]
    known_scores: Float[np.ndarray, " known"]


def folds_of(
    units: Units, rng: np.random.Generator, *, first: Bool[np.ndarray, " unit"] | None = None, n_folds: int = 5
) -> Int[np.ndarray, " record"]:
    """Deal the units to folds at random, members and nonmembers apart, so that each fold has its share of both.

    Args:
        units: Records or people; a person's records are dealt to one fold.
        rng: Decides who is dealt where.
        first: The first of two halves of the units, each of which is then dealt on its own.
        n_folds: Number of folds.

    Returns:
        The fold of each record.

    Raises:
        InputError: Fewer than 2 folds.

    Example:
        >>> folds = folds_of(Units(None, np.arange(6) < 3), np.random.default_rng(0), n_folds=3)
        >>> sorted(folds[:3].tolist()), sorted(folds[3:].tolist())
        ([0, 1, 2], [0, 1, 2])
    """
    if n_folds < 2:
        raise InputError(f"Expected at least 2 folds, found {n_folds}; 5 is a usual number.")
    fold = np.empty(units.member.size, dtype=np.int64)
    stratum = 2 * units.member + (0 if first is None else first)
    for one in range(4):
        of_stratum = rng.permutation(np.flatnonzero(stratum == one))
        fold[of_stratum] = np.arange(of_stratum.size) % n_folds
    return np.asarray(units.of(fold))


def learnt_from_shadow(
    attack: Callable[..., np.ndarray],
    signals: Signals,
    shadow_signals: Signals,
    shadow_member: Bool[np.ndarray, " known"],
    shadow_fold: Int[np.ndarray, " known"],
) -> Learnt:
    """Let an attack learn from all of a shadow model's records and score the target's.

    Args:
        attack: Takes each signal by name, the same of known records as `known_...`, and `known_member`; options such
            as a classifier are bound to it beforehand.
        signals: Of the target's records.
        shadow_signals: The same of the shadow's.
        shadow_member: Side of each of the shadow's records.
        shadow_fold: Fold of each of the shadow's records, as `folds_of` gives them.

    Returns:
        Scores of the target's records, and of the shadow's, each fold by an attack that learnt from the other folds.

    Raises:
        InputError: There is too little to learn from, or what the attack raises.
    """

    def within(known: np.ndarray, scored: np.ndarray) -> np.ndarray:
        return _learnt(attack, shadow_signals, shadow_member, known, shadow_signals, scored)

    everyone, every_known = np.arange(len(next(iter(signals.values())))), np.arange(shadow_member.size)
    scores = _learnt(attack, shadow_signals, shadow_member, every_known, signals, everyone)
    return Learnt(scores, _by_folds(within, every_known, shadow_fold))


def learnt_from_half(
    attack: Callable[..., np.ndarray],
    signals: Signals,
    member: Bool[np.ndarray, " record"],
    known: Bool[np.ndarray, " record"],
    fold: Int[np.ndarray, " record"],
) -> Learnt:
    """Let an attack learn from one half of the target's own records and score the other half.

    Args:
        attack: As for `learnt_from_shadow`.
        signals: Of the target's records.
        member: Their side; that of the others than the known is seen by nothing.
        known: Which records are learnt from; a person's are all or none.
        fold: Fold of each known record, as `folds_of` gives them.

    Returns:
        Scores of the others, and known scores of the known, each by what learnt from the other folds of them.

    Raises:
        InputError: There is too little to learn from, or what the attack raises.
    """
    return _by_half(lambda of, scored: _learnt(attack, signals, member, of, signals, scored), known, fold)


def attack_p_from_half(
    losses: Float[np.ndarray, " record"],
    member: Bool[np.ndarray, " record"],
    known: Bool[np.ndarray, " record"],
    fold: Int[np.ndarray, " record"],
) -> Learnt:
    """Score one half of the target's records by attack P, with the other half's nonmembers as the population.

    Args:
        losses: `-log p(true class)` under the target [nats].
        member: Side of each record.
        known: Which records the population is taken from.
        fold: Fold of each known record, as `folds_of` gives them.

    Returns:
        As `learnt_from_half`.

    Raises:
        InputError: There are known nonmembers in fewer than two folds, or a loss is NaN.

    Example:
        >>> losses, member = np.array([0.1, 1.0, 2.0, 0.1, 1.0, 2.0]), np.array([True, False, False] * 2)
        >>> known, fold = np.arange(6) < 3, np.array([0, 0, 1] * 2)
        >>> found = attack_p_from_half(losses, member, known, fold)
        >>> found.scores, found.known_scores
        (array([nan, nan, nan, 1. , 1. , 0.5]), array([ 1.,  1.,  0., nan, nan, nan]))

    Source:
        Ye et al. 2022, https://arxiv.org/abs/2111.09679, attack P; the half and its folds are ours.
    """
    return _by_half(lambda of, scored: attack_p(losses[scored], losses[of[~member[of]]]), known, fold)


def quantile_regression_from_half(
    attack: Callable[..., np.ndarray],
    signal: Float[np.ndarray, " record"],
    features: Float[np.ndarray, "record feature"],
    member: Bool[np.ndarray, " record"],
    known: Bool[np.ndarray, " record"],
) -> Learnt:
    """Score one half of the target's records by what a regression learnt from the other half's nonmembers.

    The regressions are cross-fitted as they are: one run scores the other half, and the known half by nonmembers in
    other folds.

    Args:
        attack: `quantile_regression_gaussian` or `quantile_regression_at_fpr`, with a seed and subjects bound to it.
        signal: What rises with membership, such as phi or the hinge margin [logit], finite.
        features: What is known of each record, such as `regression_features` gives.
        member: Side of each record.
        known: Which records are learnt from.

    Returns:
        As `learnt_from_half`.

    Raises:
        InputError: What the attack raises: too few known nonmembers, or something is not finite.

    Source:
        Bertran et al. 2023, https://arxiv.org/abs/2307.03694; the half is ours.
    """
    scores = attack(signal, features, ~member & known)
    return Learnt(np.where(known, np.nan, scores), np.where(known, scores, np.nan))


def regression_features(
    inputs: Any, labels: Int[np.ndarray, " record"], n_classes: int
) -> Float[np.ndarray, "record feature"]:
    """Say what a record is, for quantile regression: a column of 0 and 1 per class, and the inputs if they are numbers.

    Never the target's own answers: they determine the signal, so that nothing would be left of it.

    Args:
        inputs: What the target was given, an array or a DataFrame, or None; what is no number, and a sparse matrix, is
            left out.
        labels: Class of each record.
        n_classes: Number of classes.

    Returns:
        The classes' columns, then the inputs', flattened.

    Raises:
        InputError: A label is no class.

    Example:
        >>> regression_features(np.array([[0.5], [2.0]]), np.array([1, 0]), 2)
        array([[0. , 1. , 0.5],
               [1. , 0. , 2. ]])
    """
    classes = one_hot(labels, n_classes)
    if hasattr(inputs, "columns"):
        columns = (inputs.iloc[:, position] for position in range(inputs.shape[1]))
        return np.column_stack([classes, *(numbers_of(column) for column in columns if holds_numbers(column))])
    if inputs is None or is_sparse(inputs) or not holds_numbers(inputs):
        return classes
    return np.column_stack([classes, inputs.reshape(len(inputs), -1)])


# --------------------------------------------------------------------------------- who learns from whom


def _learnt(
    attack: Callable[..., np.ndarray],
    known_signals: Signals,
    known_member: np.ndarray,
    known: np.ndarray,
    signals: Signals,
    scored: np.ndarray,
) -> np.ndarray:
    """The scores of some records by an attack that is given the membership of some known ones, and of no other."""
    given: dict[str, Any] = {f"known_{name}": values[known] for name, values in known_signals.items()}
    given |= {name: values[scored] for name, values in signals.items()}
    return attack(**given, known_member=known_member[known])


def _by_half(scores_of: Callable[[np.ndarray, np.ndarray], np.ndarray], known: np.ndarray, fold: np.ndarray) -> Learnt:
    scores, known_scores = np.full(known.size, np.nan), np.full(known.size, np.nan)
    rows, others = np.flatnonzero(known), np.flatnonzero(~known)
    scores[others] = scores_of(rows, others)
    known_scores[rows] = _by_folds(scores_of, rows, fold[rows])
    return Learnt(scores, known_scores)


def _by_folds(
    scores_of: Callable[[np.ndarray, np.ndarray], np.ndarray], rows: np.ndarray, fold: np.ndarray
) -> np.ndarray:
    """The scores of rows, those of each fold by what learnt from the rows of the others."""
    scores = np.empty(rows.size)
    for number in np.unique(fold):
        left_out = fold == number
        scores[left_out] = scores_of(rows[~left_out], rows[left_out])
    return scores
