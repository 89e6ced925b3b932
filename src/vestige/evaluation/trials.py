"""Means over independent trials, such as models that were trained on sets of their own."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

LEVEL = 0.95


@dataclass(frozen=True)
class Mean:
    """A mean over independent trials with Student's interval; NaN bounds of one trial."""

    value: float
    lower: float
    upper: float

    def rounded(self) -> "Mean":
        """To 5 digits, as tables keep it."""
        return Mean(round(self.value, 5), round(self.lower, 5), round(self.upper, 5))


def mean_of(values: Sequence[float] | np.ndarray) -> Mean:
    """Return mean and 95 % interval; NaN bounds of one trial.

    Example:
        >>> mean_of([1.0, 2.0, 3.0]).rounded()
        Mean(value=2.0, lower=-0.48414, upper=4.48414)
    """
    found = np.asarray(values, dtype=np.float64)
    mean = float(found.mean())
    half = float("nan")
    if found.size > 1:
        half = float(student_quantile(found.size)) * float(found.std(ddof=1)) / sqrt(found.size)
    return Mean(mean, mean - half, mean + half)


def student_quantile(n: Any) -> Any:
    """Return Student's quantile for a two-sided interval of so many trials, 2 or more: a number, or an array."""
    from scipy.stats import t

    return t.ppf((1 + LEVEL) / 2, n - 1)
