"""`LikelihoodRatio`: how the attacks of Carlini et al. 2022 make a score of what shadow models answered."""

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Annotated

from vestige.core.errors import InputError
from vestige.core.schema import Schema, Written, set_choices


class Statistic(StrEnum):
    """What of an answer the Gaussians are fitted to."""

    LOGIT = "logit"
    """phi = log(p / (1 - p)) of the true class."""
    HINGE = "hinge"
    """The true class's logit less the largest other one; of logits only."""
    LOSS = "loss"
    """log p of the true class, the negated loss."""


class Center(StrEnum):
    """Where a record's Gaussian stands; its spread is always taken around the mean."""

    MEAN = "mean"
    """At the mean of the models."""
    MEDIAN = "median"
    """At their median, as in the published code."""


class Variance(StrEnum):
    """Whose spread a record's is taken to be."""

    POOLED = "pooled"
    """That of all records' residuals from their own means, one for IN and one for OUT models."""
    PER_RECORD = "per_record"
    """Its own, of two models or more on each side."""
    PUBLISHED_FIXED = "published_fixed"
    """That of all phi as they are, of IN models for both sides, as in the published code: for its numbers only. It
    counts what records differ in; attacks that know one side only take that side's."""


class Queries(StrEnum):
    """How the answers to several queries of a record become one score."""

    MEAN = "mean"
    """A Gaussian per query, and the mean of their scores, as in the published code."""
    FULL_COVARIANCE = "full_covariance"
    """One Gaussian over the queries of a record, with the covariance of all records' residuals."""


class Counts(StrEnum):
    """How many of a record's models on one side are used."""

    ALL = "all"
    """All of them."""
    SMALLEST = "smallest"
    """As many as the record with the fewest has, the first ones, as in the published code: for its numbers."""


@dataclass(frozen=True, kw_only=True)
class LikelihoodRatio(Schema):
    """How LiRA is played, online, offline and on IN models; the other attacks with shadow models have no such choice.

    Attributes:
        statistic: What the Gaussians are fitted to: `logit`, `hinge` or `loss`.
        center: Where they stand: at the `mean` or the `median` of the models.
        variance: Whose spread is used: `pooled`, `per_record` or `published_fixed`. If omitted, pooled or its own,
            whichever finds more members of reference models in turn: the target has no say. Pooled where too few
            models remain for that, and with the covariance of queries.
        queries: What is made of several queries a record: `mean` of their scores, or one Gaussian with their
            `full_covariance`.
        min_std: Floor of a standard deviation, in the units of the statistic.
        counts: How many of a record's IN and OUT models are used: `all`, or the `smallest` number over records.

    Raises:
        InputError: There is no such choice, or two do not go together.

    Example:
        >>> LikelihoodRatio(center="median", variance="published_fixed").statistic.value
        'logit'

    Source:
        Carlini et al. 2022; the statistics are those that they compare.
    """

    statistic: Annotated[Statistic | str, Written(Statistic)] = Statistic.LOGIT
    center: Annotated[Center | str, Written(Center)] = Center.MEAN
    variance: Annotated[Variance | str | None, Written(Variance)] = None
    queries: Annotated[Queries | str, Written(Queries)] = Queries.MEAN
    min_std: float = 1e-3
    counts: Annotated[Counts | str, Written(Counts)] = Counts.ALL

    def __post_init__(self) -> None:
        set_choices(self, statistic=Statistic, center=Center, queries=Queries, counts=Counts)
        if self.variance is not None:
            set_choices(self, variance=Variance)
        if self.queries is Queries.FULL_COVARIANCE and self.variance not in (None, Variance.POOLED):
            raise InputError(
                f"Expected the pooled variance beside the covariance of queries, found {self.variance}; leave it out, "
                "or take the mean over queries."
            )
        if not 0 < self.min_std < float("inf"):
            raise InputError(f"Expected a floor above 0 as min_std, found {self.min_std:g}.")

    def as_text(self) -> dict[str, str | float]:
        """Return every choice as text and numbers."""
        said = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: "better_on_reference_models" if value is None else float(value) if name == "min_std" else str(value)
            for name, value in said.items()
        }
