"""How many nonmembers equal a member, and how many would if sides were dealt again at random?"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int, UInt64

from vestige.core.seeds import stream
from vestige.evaluation.preflight.per_unit import in_order_of_content, unit_members

MAX_RECORDS = 2_000
"""Equal records that are dealt again: those with the fewest equals, because large groups are on both sides anyhow."""

N_MOVES = 2_000_000
"""Records that change sides over all draws, about."""

FEWEST_DRAWS, MOST_DRAWS = 1_999, 9_999

_NEVER = 1e-9  # chance that equal records all fall on one side, below which they tell nothing


@dataclass(frozen=True, kw_only=True)
class Matches:
    """Nonmembers that equal a member.

    Attributes:
        n_across: Nonmembers that equal a member [count].
        n_nonmembers: All nonmembers [count].
        beyond_chance: Share of the nonmembers that equal a member beyond what relabelled sides give on average;
            negative where fewer do.
        p_more: One-sided p-value against "no more of them than by chance".
        p_fewer: The same against "no fewer".
    """

    n_across: int
    n_nonmembers: int
    beyond_chance: float
    p_more: float
    p_fewer: float

    @property
    def share(self) -> float:
        """Share of the nonmembers that equal a member."""
        return self.n_across / max(self.n_nonmembers, 1)


def matches(
    hashes: UInt64[np.ndarray, " record"],
    member: Bool[np.ndarray, " record"],
    units: Int[np.ndarray, " record"] | None,
) -> Matches:
    """Compare the nonmembers that equal a member with what randomly dealt sides give, subjects kept whole.

    In a table of few distinct values, or with natural repeats, many nonmembers equal a member, and as many would
    whoever had been trained on: nothing is wrong. Copies that were put on the other side are more than that, and
    repeats that keep to one side are fewer.

    Args:
        hashes: A number per record, equal where records are.
        member: Whether each record is a member.
        units: Subject of each record, none on both sides; None if every record is its own.

    Raises:
        InputError: A subject is on both sides.

    Example:
        >>> records = np.arange(100, dtype=np.uint64)
        >>> twice = matches(np.tile(records, 2), np.arange(200) < 100, None)
        >>> twice.n_across, twice.p_more
        (100, 0.0001)
        >>> matches(records % 3, np.arange(100) % 2 == 0, None).p_more
        1.0

    Source:
        Permutation test: Lehmann & Romano 2005, section 15.2.
    """
    _, group, sizes = np.unique(hashes, return_inverse=True, return_counts=True)
    inside = np.bincount(group, weights=member, minlength=sizes.size).astype(np.int64)
    n_nonmembers = int(np.count_nonzero(~member))
    across = np.where(inside > 0, sizes - inside, 0)
    share = n_nonmembers / member.size
    always_mixed = np.maximum(share, 1 - share) ** sizes < _NEVER if units is None else np.zeros(sizes.size, dtype=bool)
    in_play = (sizes > 1) & ~always_mixed
    looked_at = _fewest_equals(sizes, in_play)
    seen = int(across[looked_at].sum())
    drawn = _relabelled(looked_at, group, hashes, member, units)
    if drawn is None:
        return Matches(
            n_across=int(across.sum()), n_nonmembers=n_nonmembers, beyond_chance=0.0, p_more=1.0, p_fewer=1.0
        )
    beyond = (seen - float(drawn.mean())) / max(n_nonmembers, 1)
    beyond *= int(across[in_play].sum()) / seen if seen else 1.0  # as for those that were not looked at
    p_more = (1 + np.count_nonzero(drawn >= seen)) / (1 + drawn.size)
    p_fewer = (1 + np.count_nonzero(drawn <= seen)) / (1 + drawn.size)
    return Matches(
        n_across=int(across.sum()),
        n_nonmembers=n_nonmembers,
        beyond_chance=beyond,
        p_more=float(p_more),
        p_fewer=float(p_fewer),
    )


def _fewest_equals(sizes: np.ndarray, in_play: np.ndarray) -> np.ndarray:
    """Groups of equal records that are looked at; groups are numbered by their hash, so membership has no say."""
    repeated = np.flatnonzero(in_play)
    repeated = repeated[np.argsort(sizes[repeated], kind="stable")]
    kept = repeated[np.cumsum(sizes[repeated]) <= MAX_RECORDS]
    chosen = np.zeros(sizes.size, dtype=bool)
    chosen[kept] = True
    return chosen


def _relabelled(
    looked_at: np.ndarray, group: np.ndarray, hashes: np.ndarray, member: np.ndarray, units: np.ndarray | None
) -> np.ndarray | None:
    """Nonmembers that equal a member, in each draw; None where there is nothing to deal."""
    from scipy.sparse import coo_array

    order, number = in_order_of_content(hashes, member, units)
    side, group = unit_members(member[order], number), group[order]
    chosen = looked_at[group]
    if not chosen.any():
        return None
    moved, unit = np.unique(number[chosen], return_inverse=True)  # units without a repeated record do not matter
    groups, column = np.unique(group[chosen], return_inverse=True)
    records = coo_array((np.ones(unit.size), (unit, column)), shape=(moved.size, groups.size)).tocsr()
    size = np.bincount(column)
    rng = stream(0, "preflight relabelled matches")
    n_draws = int(np.clip(N_MOVES // moved.size, FEWEST_DRAWS, MOST_DRAWS))
    n_members = int(np.count_nonzero(side))
    drawn = []
    step = max(1, 1_000_000 // moved.size)
    for start in range(0, n_draws, step):
        among = rng.hypergeometric(n_members, side.size - n_members, moved.size, size=min(step, n_draws - start))
        sides = rng.permuted(np.arange(moved.size) < among[:, None], axis=1)
        inside = (records.T @ sides.T.astype(np.float64)).T
        drawn.append(np.where(inside > 0.5, size - inside, 0).sum(axis=1))
    return np.asarray(np.rint(np.concatenate(drawn)))
