"""Did all records get one answer? Then no attack can tell them apart, and something is broken."""

import numpy as np
from jaxtyping import Int, UInt64

from vestige.core.result import Check, Validity

NEARLY_ALL = 0.99
"""Share of the records with one answer from which on an audit sees next to nothing."""


def constant_answers(answers: Int[np.ndarray, " record"] | UInt64[np.ndarray, " record"]) -> Check | None:
    """Report answers that do not depend on the record.

    Args:
        answers: A number per record, equal where the answers are equal: a hash of its row, or the predicted class.

    Returns:
        LIMITED if 99 % of the records or more got one answer, else None.

    Example:
        >>> constant_answers(np.zeros(10, dtype=np.uint64)).message
        'All of 10 records have one score: the model gave all of them the same answer.'
    """
    same = int(np.unique(answers, return_counts=True)[1].max())
    if same < NEARLY_ALL * answers.size:
        return None
    who = "All" if same == answers.size else f"{same:,}"
    return Check(
        "constant_answers",
        Validity.LIMITED,
        f"{who} of {answers.size:,} records have one score: the model gave all of them the same answer.",
        "Is the export or the model broken? If it does answer so, its answers about these records give nothing away.",
    )
