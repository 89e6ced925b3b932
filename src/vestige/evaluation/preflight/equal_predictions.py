"""How many records got exactly the same answer as another? An information line."""

import numpy as np
from jaxtyping import Bool, UInt64

from vestige.core.result import Check, Validity


def equal_predictions(row_hashes: UInt64[np.ndarray, " record"], member: Bool[np.ndarray, " record"]) -> Check:
    """Count the records that share their prediction row; equal answers need not mean equal inputs.

    Args:
        row_hashes: A number per record, equal where the prediction rows are equal.
        member: Whether each record is a member.

    Returns:
        Always VALID.

    Example:
        >>> equal_predictions(np.array([1, 1, 2], dtype=np.uint64), np.array([True, False, True])).message
        '2 of 3 records share their prediction row with another one; 1 of 1 nonmembers share theirs with a member.'
    """
    counts = np.unique(row_hashes, return_counts=True)[1]
    n_shared = int(counts[counts > 1].sum())
    across = int(np.count_nonzero(np.isin(row_hashes[~member], row_hashes[member])))
    return Check(
        "equal_predictions",
        Validity.VALID,
        f"{n_shared:,} of {row_hashes.size:,} records share their prediction row with another one; "
        f"{across:,} of {int(np.count_nonzero(~member)):,} nonmembers share theirs with a member.",
    )
