"""How a rate is said to people."""

import math


def percent(rate: float) -> str:
    """A rate as percent with two significant digits on the side of the nearer end; below 1 in 100,000 it is 0.

    Example:
        >>> percent(0.0284), percent(0.00034), percent(0.5), percent(0.998)
        ('2.8%', '0.034%', '50%', '99.80%')
    """
    if min(rate, 1 - rate) < 1e-5:
        return f"{100 * round(rate):.0f}%"
    digits = max(0, 1 - math.floor(math.log10(100 * min(rate, 1 - rate))))
    return f"{100 * rate:.{digits}f}%"
