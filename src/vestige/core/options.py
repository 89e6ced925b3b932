"""Options that exist because two readings exist; each is recorded in every result."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from vestige.core.errors import InputError
from vestige.core.schema import Schema, Written, set_choices


class Arithmetic(StrEnum):
    """How probabilities become scores, thresholds and risk."""

    STABLE = "stable"
    """float64; logarithms from logits without forming 1 - p. The default."""
    PUBLISHED = "published"
    """Song & Mittal's script to the digit: the dtype as given, 1 - p as it rounds, its histogram edges, no unit more in
    a bin of the privacy risk score, 0 as the threshold of a class without both sides."""


class SubjectScore(StrEnum):
    """How the scores of one subject's records become the subject's score."""

    MEAN = "mean"
    MAXIMUM = "maximum"


@dataclass(frozen=True, kw_only=True)
class Options(Schema):
    """Everything that can change a number, with its default, and what the audit is called; recorded in every result.

    Attributes:
        arithmetic: float64 from logits (default), or Song & Mittal's published script to the digit.
        subject_score: A subject's score is the mean (default) or the maximum of its records'.
        risk_prior: Prior probability of membership in the privacy risk score.
        risk_bins: Histogram bins of the privacy risk score per class.
        min_cell: Groups with fewer members or nonmembers are hidden in the release-safe outputs; 0 shows all.
        headline_fpr: The lowest false-positive rate that the finding is about, of .1, .01, .001 and .0001: so that two
            audits of other sizes are about the same rate. If omitted, or not resolved, the lowest that is resolved.
        seed: Seed of the known halves, the folds and the relabellings.
        name: What the results call the target.
        purpose: What the audit is for; printed with every result, as the author is.
        author: Who audits.
    """

    arithmetic: Annotated[Arithmetic, Written(str)] = Arithmetic.STABLE
    subject_score: Annotated[SubjectScore, Written(str)] = SubjectScore.MEAN
    risk_prior: float = 0.5
    risk_bins: int = 5
    min_cell: int = 10
    headline_fpr: float | None = None
    seed: int = 0
    name: str = "target"
    purpose: str | None = None
    author: str | None = None

    def __post_init__(self) -> None:
        set_choices(self, arithmetic=Arithmetic, subject_score=SubjectScore)
        for name in ("min_cell", "seed"):
            if getattr(self, name) < 0:
                raise InputError(f"Expected 0 or more as {name}, found {getattr(self, name)}.")
        if not 0 < self.risk_prior < 1:
            raise InputError(f"Expected a risk prior between 0 and 1, found {self.risk_prior}.")
        if self.headline_fpr not in (None, 0.1, 0.01, 0.001, 0.0001):
            raise InputError(f"Expected 0.1, 0.01, 0.001 or 0.0001 as headline_fpr, found {self.headline_fpr}.")
        if self.risk_bins < 1:
            raise InputError(f"Expected at least 1 risk bin, found {self.risk_bins}.")

    def as_text(self) -> dict[str, str | int | float]:
        """Return every option that is set, as a run, TOML and JSON hold it: a member of an enumeration by its name."""
        said = {name: value for name, value in vars(self).items() if value is not None}
        return {name: str(value) if isinstance(value, str) else value for name, value in said.items()}
