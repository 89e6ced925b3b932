"""Every model in turn as the target of online LiRA, in one reading of the answers instead of one per model.

What remains on a side without a target and its partner has a mean and a sum of squares that follow from those of the
whole side: with deviations d from its mean, of n models of which r are left out,

    n' = n - r,   mean' = mean - sum(d) / n',   squares' = squares - sum(d^2) - sum(d)^2 / n'

with sums over what is left out. Where little remains of the squares, they are added up afresh.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from vestige.core.errors import InputError
from vestige.core.likelihood_ratio import Variance

Blocks = Callable[[], Iterable[np.ndarray]]
"""Begins to read: phi [logit] of consecutive records, each block [model, record], in any type of float."""
Scored = tuple[slice, Float[np.ndarray, "target record"]]
"""Which records, and the scores that each model as the target gives them [nats]."""

_KEPT_DIGITS = 1e-5  # of the squares: below this share, what remains is added up afresh
_CHECKED = 65_536  # records whose models are counted at once


def record_blocks(shadow_phi: Float[np.ndarray, "model record"], n_records: int = 256) -> Blocks:
    """Return an array, in memory or mapped into it, in blocks of records; small ones stay in the processor's cache.

    Example:
        >>> [block.shape for block in record_blocks(np.zeros((4, 5)), 3)()]
        [(4, 3), (4, 2)]
    """
    return lambda: (shadow_phi[:, at : at + n_records] for at in range(0, shadow_phi.shape[1], n_records))


def leave_one_out(
    blocks: Blocks,
    is_in: Bool[np.ndarray, "model record"],
    partner: Int[np.ndarray, " model"],
    *,
    variance: Variance = Variance.POOLED,
    min_std: float = 1e-3,
) -> Iterator[Scored]:
    """Score all records with each model as the target, by online LiRA.

    Args:
        blocks: What every model answered; called twice for the pooled variance, else once.
        is_in: Whether each model was trained on each record.
        partner: Which model is left out together with each; -1: none. With complementary pairs `np.arange(n) ^ 1`:
            the numbers of IN and OUT models that remain would otherwise tell members.
        variance: Pooled, or each record's own.
        min_std: Floor of a standard deviation [logit].

    Yields:
        Records and their scores, block by block: those of `lira_online` without target and partner.

    Raises:
        InputError: Some record keeps no IN or no OUT model, or fewer than two for variances of its own; partners or
            blocks do not fit, or some phi is not finite.

    Example:
        >>> shadow_phi = np.array([[3.0, 0.0], [0.0, 3.0], [4.0, 0.0], [1.0, 2.0]])
        >>> is_in = np.array([[True, False], [False, True], [True, False], [False, True]])
        >>> scored = leave_one_out(record_blocks(shadow_phi), is_in, np.arange(4) ^ 1, min_std=1.0)
        >>> [(records, scores.tolist()) for records, scores in scored]
        [(slice(0, 2, None), [[1.5, -2.0], [-7.5, 4.0], [7.5, -4.5], [-1.5, 1.5]])]

    Source:
        Carlini et al. 2022, online attack; the downdated moments are ours.
    """
    pooled = variance is Variance.POOLED
    _check(is_in, partner, 1 if pooled else 2)
    return _scored(blocks, is_in, partner, min_std, pooled=pooled)


def _scored(
    blocks: Blocks, is_in: np.ndarray, partner: np.ndarray, min_std: float, *, pooled: bool
) -> Iterator[Scored]:
    variances = _pooled_variances(blocks, is_in, partner) if pooled else None
    for records, phi, sides in _read(blocks, is_in, partner):
        of_sides = [side.squares / side.counts for side in sides] if variances is None else variances
        std_in, std_out = (np.maximum(min_std, np.sqrt(of_side)) for of_side in of_sides)
        inside, outside = sides
        yield records, _log_ratio(phi - inside.means, std_in, phi - outside.means, std_out)


def _pooled_variances(blocks: Blocks, is_in: np.ndarray, partner: np.ndarray) -> Float[np.ndarray, "side target one"]:
    totals = np.zeros((2, 2, len(is_in)))  # side; squares and counts; target
    for _, _, sides in _read(blocks, is_in, partner):
        for total, side in zip(totals, sides, strict=True):
            total += side.squares.sum(axis=1), side.counts.sum(axis=1)
    return (totals[:, 0] / totals[:, 1])[:, :, None]


def _log_ratio(
    from_in: np.ndarray, std_in: np.ndarray, from_out: np.ndarray, std_out: np.ndarray
) -> Float[np.ndarray, "target record"]:
    from_in /= std_in
    from_out /= std_out
    return np.asarray(0.5 * (from_out**2 - from_in**2) + np.log(std_out / std_in))


# ------------------------------------------------------------------------------------------------------- moments


@dataclass(frozen=True, eq=False)
class _Remaining:
    """Moments of one side without a target and its partner: the sum of squares is about the mean."""

    counts: Float[np.ndarray, "target record"]
    means: Float[np.ndarray, "target record"]
    squares: Float[np.ndarray, "target record"]


def _read(
    blocks: Blocks, is_in: np.ndarray, partner: np.ndarray
) -> Iterator[tuple[slice, np.ndarray, tuple[_Remaining, _Remaining]]]:
    start = 0
    for block in blocks():
        records = slice(start, start + block.shape[1])
        start = records.stop
        _check_block(block, is_in, records)
        phi = block.astype(np.float64)
        phi -= phi.mean(axis=0)  # a record's level would cost digits
        side = is_in[:, records]
        yield records, phi, (_remaining(phi, side, partner), _remaining(phi, ~side, partner))
    if start != is_in.shape[1]:
        raise InputError(f"Expected phi of {is_in.shape[1]:,} records, found {start:,}; give every record once.")


def _remaining(phi: np.ndarray, side: np.ndarray, partner: np.ndarray) -> _Remaining:
    weight = side.astype(np.float64)
    n = weight.sum(axis=0)
    mean = np.einsum("mr,mr->r", weight, phi) / n
    deviations = (phi - mean) * weight
    squares = np.einsum("mr,mr->r", deviations, deviations)
    counts = n - _with_partner(weight, partner)
    shift = _with_partner(deviations, partner)
    left = squares - _with_partner(deviations**2, partner) - shift**2 / counts
    for target in np.flatnonzero((left < _KEPT_DIGITS * squares).any(axis=1)):
        few = np.flatnonzero(left[target] < _KEPT_DIGITS * squares)
        left[target, few] = _afresh(phi[:, few], weight[:, few], int(target), int(partner[target]))
    return _Remaining(counts, mean - shift / counts, left)


def _afresh(phi: np.ndarray, weight: np.ndarray, target: int, partner: int) -> Float[np.ndarray, " record"]:
    kept = np.delete(np.arange(len(phi)), [target, partner] if partner >= 0 else [target])
    phi, weight = phi[kept], weight[kept]
    deviations = phi - (phi * weight).sum(axis=0) / weight.sum(axis=0)
    return np.asarray((weight * deviations**2).sum(axis=0))


def _with_partner(values: np.ndarray, partner: np.ndarray) -> Float[np.ndarray, "target record"]:
    """Each model's value and that of its partner."""
    both = np.where(partner[:, None] < 0, 0.0, values[partner])
    both += values
    return both


# -------------------------------------------------------------------------------------------------------- checks


def _check(is_in: np.ndarray, partner: np.ndarray, needed: int) -> None:
    models = np.arange(len(is_in))
    wrong = (partner < -1) | (partner >= len(is_in)) | (partner == models)
    if wrong.any():
        model = int(wrong.argmax())
        raise InputError(
            f"Expected another of {len(is_in)} models, counted from 0, as partner, or -1 for none, found "
            f"{partner[model]} for model {model}; number the models as the rows of is_in."
        )
    for first in range(0, is_in.shape[1], _CHECKED):
        _check_counts(is_in[:, first : first + _CHECKED], partner, needed, first)


def _check_counts(is_in: np.ndarray, partner: np.ndarray, needed: int, first: int) -> None:
    """Some records at a time: counts of all of them, for each side and target, would be more than a block of phi."""
    n_in = is_in.sum(axis=0)
    for target, other in enumerate(partner):
        gone = is_in[[target] if other < 0 else [target, other]]
        left_in = n_in - gone.sum(axis=0)
        left = np.minimum(left_in, len(is_in) - len(gone) - left_in)
        if left.min() < needed:
            record = int(left.argmin())
            raise InputError(
                f"Expected at least {needed} models that were trained on each record and {needed} that were not "
                f"beside the target, found {left[record]} on one side for record {first + record + 1:,} with model "
                f"{target} as the target; train more models."
            )


def _check_block(block: np.ndarray, is_in: np.ndarray, records: slice) -> None:
    if len(block) != len(is_in) or records.stop > is_in.shape[1]:
        raise InputError(
            f"Expected phi of {len(is_in)} models and {is_in.shape[1]:,} records, found {len(block)} models up to "
            f"record {records.stop:,}; give blocks of consecutive records, models first."
        )
    if not np.isfinite(block).all():
        model, record = np.argwhere(~np.isfinite(block))[0]
        raise InputError(
            f"Expected finite phi, found {block[model, record]} of model {model} for record "
            f"{records.start + record + 1:,}; leave that model out."
        )
