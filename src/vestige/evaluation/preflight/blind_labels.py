"""Can membership be guessed from the label alone?"""

import numpy as np
from jaxtyping import Bool, Float, Int

from vestige.core.result import Check, Validity
from vestige.core.seeds import stream
from vestige.evaluation.preflight.judgement import DRAW_FROM_ONE_POOL, judge, judged
from vestige.evaluation.preflight.mann_whitney import MannWhitney
from vestige.evaluation.preflight.per_unit import in_order_of_content, sample_units, unit_members
from vestige.evaluation.preflight.progressive import deal_blocks, progressive_auc

LEVEL = 0.005
"""Honest random splits flagged at most."""

N_DRAWS = 9_999
"""Draws of the null; many, because they are the same in every audit and so is their error at `LEVEL`."""

N_MOVES = 20_000_000
"""Subjects that change sides over all draws, at most: 1,000 draws of 20,000 subjects."""

MAX_UNITS = 20_000
"""Subjects looked at in the permutation test; records without subjects are all looked at."""


def blind_labels(
    labels: Int[np.ndarray, " record"], member: Bool[np.ndarray, " record"], units: Int[np.ndarray, " record"] | None
) -> Check:
    """Compare the label frequencies of the two sides.

    Pearson's chi-square statistic against its permutation distribution, so that rare classes do no harm; subjects
    are permuted whole, each counting once by the shares of its labels. Sides that are *more* alike than chance
    would make them (a stratified split) are fine.

    Args:
        labels: True class of each record, 0 or more.
        member: Whether each record is a member.
        units: Subject of each record, none on both sides; None if every record is its own.

    Returns:
        LIMITED if the frequencies differ at `LEVEL`, CONFOUNDED if besides the 95 % lower bound of the AUC of the
        best guess from labels alone exceeds 0.55.

    Raises:
        InputError: A subject is on both sides.

    Example:
        >>> member = np.arange(400) < 200
        >>> str(blind_labels(np.where(member, 0, 1), member, None).validity)
        'CONFOUNDED'
        >>> str(blind_labels(np.arange(400) % 2, member, None).validity)
        'VALID'
    """
    name = "blind_labels"
    classes, labels = np.unique(labels, return_inverse=True)
    order, number = in_order_of_content(labels.astype(np.uint64), member, units)
    labels, member = labels[order], member[order]
    guess = _guess(labels, member, number)
    if classes.size == 1 or guess is None:
        return Check(name, Validity.VALID, f"Too little to compare: {classes.size} class(es), {member.size} records.")
    p_value = _p_value_units(labels, member, number) if units is not None else _p_value_records(labels, member)
    auc_lb = guess.lower(0.95)
    validity = judge(p_value, LEVEL, auc_lb)
    seen = "differ between" if validity is not Validity.VALID else "do not differ more than by chance between"
    message = (
        f"Label frequencies of {classes.size} classes {seen} members and nonmembers (p = {p_value:.2g}); the label "
        f"alone guesses membership with an AUC of {guess.auc:.3f} (0.5 is guessing; 95% lower bound {auc_lb:.3f})"
    )
    return judged(name, validity, message, "", DRAW_FROM_ONE_POOL)


def _guess(labels: np.ndarray, member: np.ndarray, number: np.ndarray) -> MannWhitney | None:
    """AUC of each class's log odds of membership, learnt on the blocks before; None with too few units."""
    blocks = deal_blocks(unit_members(member, number), stream(0, "preflight label blocks"))
    if blocks is None:
        return None
    n_classes = int(labels.max()) + 1

    def score(learn: np.ndarray, judge: np.ndarray) -> np.ndarray:
        inside = np.bincount(labels[learn & member], minlength=n_classes) + 1.0
        outside = np.bincount(labels[learn & ~member], minlength=n_classes) + 1.0
        return np.asarray(np.log(inside / outside)[labels[judge]])

    return progressive_auc(score, blocks, member, number)


def _p_value_records(labels: np.ndarray, member: np.ndarray) -> float:
    """Without subjects the members' class counts are multivariate hypergeometric under the null."""
    counts = np.bincount(labels)
    seen = np.bincount(labels[member], minlength=counts.size).astype(np.float64)
    rng = stream(0, "preflight label draws")
    drawn = rng.multivariate_hypergeometric(counts, int(member.sum()), size=N_DRAWS, method="marginals")
    return _p_value(seen, drawn.astype(np.float64), counts / member.size, int(member.sum()))


def _p_value_units(labels: np.ndarray, member: np.ndarray, number: np.ndarray) -> float:
    """With subjects, whole subjects change sides."""
    from scipy.sparse import coo_array

    size = np.bincount(number)
    shares = coo_array((1.0 / size[number], (labels, number))).tocsr()  # class x unit
    rng = stream(0, "preflight label draws")
    side = unit_members(member, number)
    kept = sample_units(side, MAX_UNITS, rng)
    shares, side = shares[:, kept], side[kept].astype(np.float64)
    n_blocks = -(-min(N_DRAWS, N_MOVES // side.size) // 100)
    drawn = [shares @ rng.permuted(np.tile(side[:, None], 100), axis=0) for _ in range(n_blocks)]
    return _p_value(shares @ side, np.concatenate(drawn, axis=1).T, shares.mean(axis=1), int(side.sum()))


def _p_value(
    seen: Float[np.ndarray, " class"],
    drawn: Float[np.ndarray, "draw class"],
    frequency: Float[np.ndarray, " class"],
    n_members: int,
) -> float:
    expected = n_members * frequency
    kept = expected > 0
    weight = 1 / expected[kept]
    statistic = float(np.dot((seen - expected)[kept] ** 2, weight))
    null = (drawn - expected)[:, kept] ** 2 @ weight
    # Equal tables must count as equal whatever the order of the sums.
    return float((1 + np.count_nonzero(null >= statistic * (1 - 1e-9))) / (1 + len(null)))
