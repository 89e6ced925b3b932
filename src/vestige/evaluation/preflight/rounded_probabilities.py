"""Were the probabilities rounded?"""

from vestige.core.result import Check, Validity


def rounded_probabilities(decimals: int | None) -> Check | None:
    """Report probabilities that were rounded before they were given.

    Args:
        decimals: Decimal places they were rounded to; None if they were not.

    Returns:
        LIMITED if they were rounded, else None.

    Example:
        >>> rounded_probabilities(3).message
        'Probabilities are rounded to 3 decimals: scores tie, and what lies beyond the last digit is not seen.'
    """
    if decimals is None:
        return None
    return Check(
        "rounded_probabilities",
        Validity.LIMITED,
        f"Probabilities are rounded to {decimals} decimals: scores tie, and what lies beyond the last digit is not "
        "seen.",
        "Write the probabilities with all their digits, or give logits.",
    )
