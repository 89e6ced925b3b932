"""Agreement: the share of copies that get the true class, on a scale where it is close to a normal distribution."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float
from scipy import special

from vestige.core.errors import InputError


def agreement(correct: Bool[np.ndarray, "*axes copy"]) -> Float[np.ndarray, "*axes"]:
    """Return what a likelihood ratio reads as phi: the share of correct copies on the normal's own scale.

    Of c correct ones among n it is the quantile of `(c + 1/2) / (n + 1)`, finite whatever c. Of any label-only signal:
    noisy copies, augmentations, draws of a training pipeline. Records that the model gets wrong keep their count, other
    than for noise robustness. Nothing in it says that another model's is comparable, unless it was asked about the
    same copies.

    Args:
        correct: Any axes, then the copy: whether it got the true class.

    Returns:
        One number per row [standard deviations of the noise]; higher means surer: how far the record is from being
        called otherwise, if the model's decision were linear along the noise.

    Raises:
        InputError: There is no copy.

    Example:
        >>> print(agreement(np.array([[True, True, True], [True, False, False]])).round(3))
        [ 1.15  -0.319]

    Source:
        Ours. For the correction by 1/2, there on the logit scale: Haldane 1956, Anscombe 1956.
    """
    n = correct.shape[-1]
    if not n:
        raise InputError("Expected at least 1 copy of each record, found none; ask about some.")
    share = (correct.sum(axis=-1, dtype=np.float64) + 0.5) / (n + 1)
    return np.asarray(special.ndtri(share))


def prefix_counts(
    correct: Bool[np.ndarray, "record copy"], n_queries: Sequence[int]
) -> Float[np.ndarray, "n_prefixes record"]:
    """Return how many of the first copies are correct, for several numbers of them: a curve from one sample.

    Args:
        correct: Whether each copy got the true class.
        n_queries: Copies looked at, each at most all.

    Returns:
        Counts, first axis as `n_queries`.

    Raises:
        InputError: There are not so many copies.

    Example:
        >>> prefix_counts(np.array([[True, False, True]]), [1, 3]).tolist()
        [[1.0], [2.0]]
    """
    if not n_queries or min(n_queries) < 1 or max(n_queries) > correct.shape[-1]:
        raise InputError(f"Expected numbers of copies in 1..{correct.shape[-1]}, found {list(n_queries)[:5]}.")
    ends = np.asarray(n_queries) - 1
    return np.moveaxis(np.cumsum(correct, axis=-1)[..., ends], -1, 0).astype(np.float64)
