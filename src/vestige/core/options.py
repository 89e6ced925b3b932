"""Options that exist because two readings exist; each is recorded in every result."""

from enum import StrEnum


class Arithmetic(StrEnum):
    """How probabilities become scores, thresholds and risk."""

    STABLE = "stable"
    """float64; logarithms from logits without forming 1 - p. The default."""
    PUBLISHED = "published"
    """P1's script to the digit: the given dtype, 1 - p as it rounds, its histogram edges, 0 as the threshold of a
    class without both sides."""


class SubjectScore(StrEnum):
    """How the scores of one subject's records become the subject's score."""

    MEAN = "mean"
    MAXIMUM = "maximum"
