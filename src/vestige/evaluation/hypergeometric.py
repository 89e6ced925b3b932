"""Draws without replacement: probabilities of how many marked ones are among them."""

import math
from typing import Any

import numpy as np
from scipy import special


def hypergeometric_tail(at_least: int, total: int, marked: int, drawn: int) -> float:
    """P(at least so many marked ones among `drawn` of `total`).

    `scipy.stats.hypergeom` has it too, and takes half a second to import.

    Example:
        >>> round(hypergeometric_tail(2, 10, 3, 4), 6)
        0.333333
    """
    lowest, most = max(0, drawn - (total - marked)), min(drawn, marked)
    if at_least <= lowest:
        return 1.0
    mean = drawn * marked / total
    far = 12 * math.sqrt(mean) + 30  # twelve standard deviations or more: nothing is beyond
    if at_least < mean - far:
        return 1.0
    counts = np.arange(at_least, min(most, int(max(at_least, mean) + far)) + 1)
    log_p = log_choose(marked, counts) + log_choose(total - marked, drawn - counts) - log_choose(total, drawn)
    return float(np.exp(log_p).sum())


def log_choose(n: Any, k: Any) -> Any:
    """Logarithm of the number of ways to choose k of n.

    Example:
        >>> round(float(log_choose(4, 2)), 6) == round(math.log(6), 6)
        True
    """
    return special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
