"""Were there people among members and nonmembers at once?"""

from vestige.core.result import Check, Validity


def subjects_on_both_sides(n_subjects_left_out: int, n_records_left_out: int) -> Check | None:
    """Report the subjects that were left out because they are on both sides.

    Args:
        n_subjects_left_out: Subjects with records on both sides.
        n_records_left_out: Their records.

    Returns:
        LIMITED if there were any, else None.

    Example:
        >>> subjects_on_both_sides(2, 9).message
        '2 subjects have records among members and nonmembers; all their 9 records were left out.'
    """
    if n_subjects_left_out == 0:
        return None
    return Check(
        "subjects_on_both_sides",
        Validity.LIMITED,
        f"{n_subjects_left_out:,} subjects have records among members and nonmembers; "
        f"all their {n_records_left_out:,} records were left out.",
        "Split by subject before training, so that all records of a person are on one side.",
    )
