"""Were the probabilities rounded?"""

from vestige.core.result import Check, Validity


def rounded_probabilities(rounding: str) -> Check | None:
    """Report probabilities that were rounded before they were given.

    Args:
        rounding: To what they were rounded, such as `3 decimals` or `float16`; empty if they were not.

    Returns:
        LIMITED if they were rounded, else None.

    Example:
        >>> rounded_probabilities("3 decimals").message
        'Probabilities are rounded to 3 decimals: scores tie, and what lies beyond the last digit is not seen.'
    """
    if not rounding:
        return None
    is_half = rounding.endswith("float16")
    return Check(
        "rounded_probabilities",
        Validity.LIMITED,
        f"Probabilities are rounded to {rounding}: scores tie, and what lies beyond the last digit is not seen.",
        "Take the softmax in float32, or give logits."
        if is_half
        else "Write the probabilities with all their digits, or give logits.",
    )
