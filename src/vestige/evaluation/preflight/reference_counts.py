"""Do the reference models know by their numbers alone who the members are?"""

import numpy as np
from jaxtyping import Bool, Int

from vestige.core.result import Check, Validity
from vestige.evaluation.preflight.judgement import judge, judged
from vestige.evaluation.preflight.mann_whitney import mann_whitney
from vestige.evaluation.preflight.per_unit import unit_means, unit_members, unit_numbers
from vestige.evaluation.roc import roc

LEVEL = 0.005
"""Honest designs flagged at most."""

_FEWEST = 20  # records from which on an equal training set is no accident


def reference_counts(
    is_in: Bool[np.ndarray, "model record"],
    member: Bool[np.ndarray, " record"],
    units: Int[np.ndarray, " record"] | None = None,
) -> Check:
    """Ask whether the number of models that were trained on a record tells whether the target was.

    It does where the target, or the model trained on exactly what the target was not, was left among models whose
    training sets were drawn together with the target's. Scores then count models instead of reading answers.

    Args:
        is_in: Whether each reference model was trained on each audited record.
        member: Whether the target was.
        units: Subject of each record, none on both sides; None if every record is its own.

    Returns:
        CONFOUNDED if one of the models was trained on exactly the target's members or nonmembers. Else LIMITED if a
        two-sided rank test of the counts rejects at `LEVEL`, CONFOUNDED if besides the 95 % lower bound of that guess
        exceeds 0.55.

    Example:
        >>> member = np.arange(100) % 2 == 0
        >>> str(reference_counts(np.array([~member, np.arange(100) < 50]), member).validity)
        'CONFOUNDED'
    """
    name = "reference_counts"
    cure = (
        "Leave out the target's own row and that of the model trained on the rest (designs in complementary pairs); "
        "give all other models (designs in which every record is in exactly half of them); or train them on "
        "sets drawn independently of the target's."
    )
    known = member.size >= _FEWEST
    twins = int((is_in == member).all(axis=1).sum()) if known else 0
    complements = int((is_in == ~member).all(axis=1).sum()) if known else 0
    if twins or complements:
        return Check(
            name,
            Validity.CONFOUNDED,
            f"{twins} of the {len(is_in)} reference models were trained on exactly the target's members, and "
            f"{complements} on exactly the others: their membership gives the target's away.",
            cure,
        )
    number = unit_numbers(units, member.size)
    counts = unit_means(is_in.sum(axis=0).astype(np.float64), number)
    side = unit_members(member, number)
    test = mann_whitney(roc(counts[side], counts[~side]))
    validity = judge(test.p_two_sided, LEVEL, max(test.lower(0.975), 1 - test.upper(0.975)))
    message = (
        f"The number of reference models that were trained on a record ({is_in.sum(axis=0).min()} to "
        f"{is_in.sum(axis=0).max()} of {len(is_in)}) guesses membership with an AUC of {test.auc:.3f} "
        f"(0.5 is guessing, below it members have fewer; p = {test.p_two_sided:.2g})"
    )
    return judged(name, validity, message, "", cure)
