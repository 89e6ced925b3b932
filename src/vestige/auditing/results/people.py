"""Who is compared with whom, where the sides' people have different numbers of records."""

import numpy as np
from jaxtyping import Bool

from vestige.core.result import Check, Validity
from vestige.evaluation.preflight import records_per_subject
from vestige.evaluation.record_numbers import matched, matched_records
from vestige.evaluation.units import Units


def comparable_people(
    keep: Bool[np.ndarray, " record"], units: Units, rng: np.random.Generator
) -> tuple[Bool[np.ndarray, " record"], Units, Check | None]:
    """Leave out whom nobody on the other side can be compared with, if the sides have different numbers of records.

    Args:
        keep: Records that are evaluated so far.
        units: Their units.
        rng: Random stream of the draw.

    Returns:
        Records and units that are evaluated, and what the numbers of records showed; all of them where the numbers
        are alike on both sides, or where nobody could be compared, and no check without subjects.
    """
    if units.of_record is None:
        return keep, units, None
    check = records_per_subject(units.n_records, units.member)
    if check.validity is not Validity.LIMITED:
        return keep, units, check
    chosen = matched_records(units, rng)
    left = keep.copy()
    left[keep] = chosen
    return left, units.restricted(chosen), check


def comparable_rows(rows: np.ndarray, units: Units, rng: np.random.Generator) -> np.ndarray:
    """The same for the people of one group, who stand there with their records of that group: numbers of units.

    Nobody is left where nobody can be compared.
    """
    member = units.member[rows]
    if units.of_record is None or member.all() or not member.any():
        return rows
    n_records = units.n_records[rows]
    if records_per_subject(n_records, member).validity is Validity.VALID:
        return rows
    return np.asarray(rows[matched(n_records, member, rng)])
