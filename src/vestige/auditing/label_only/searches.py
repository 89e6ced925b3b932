"""Probes that search for the decision boundary: what their kinds share."""

from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from vestige.auditing.label_only.probe import Probe, all_records
from vestige.auditing.label_only.question import LabelQuestion
from vestige.core.errors import InputError
from vestige.core.inputs import InputSpace
from vestige.core.records import Records
from vestige.core.result import Check, Validity
from vestige.core.targets import LabelTarget
from vestige.signals.boundary import BoundaryDistances, Starts, surfree

Rows = Int[np.ndarray, " row"]
"""Numbers of records."""

Estimator = Callable[..., BoundaryDistances]
"""`surfree` or `hop_skip_jump` of `vestige.signals.boundary`, or a function like them."""

BOUNDARY = "boundary_distance"

FARTHEST = "infinite ones as the largest finite one of their model"


def searched(
    estimator: Estimator,
    n_queries: int,
    target: LabelTarget,
    pool: Records,
    space: InputSpace,
    seed: int,
    rows: Rows | None = None,
    **options: Any,
) -> BoundaryDistances:
    """Search from some records of a pool, from all if none are named; a record's numbers are the same either way.

    Raises:
        InputError: The inputs are no array of numbers.
    """
    if hasattr(pool.inputs, "columns"):
        raise InputError(
            "Expected inputs as an array of numbers for boundary distances, found a table with columns; encode it, "
            "or take noisy copies, which change categories to others."
        )
    records = all_records(pool) if rows is None else rows
    return estimator(
        target, pool.inputs[records], pool.labels[records], records, space.bounds(pool.inputs),
        n_queries=n_queries, seed=seed, starts=Starts(pool.inputs, pool.labels), **options,
    )  # fmt: skip


class _Silent:
    """A target that is never asked: a search which comes to its first query has nothing against its inputs."""

    def __init__(self, n_classes: int) -> None:
        self.n_classes = n_classes

    def labels(self, inputs: Any, records: Rows) -> Rows:
        raise _ToBeAskedError


class _ToBeAskedError(Exception):
    pass


def refuse_no_start(estimator: Estimator, n_queries: int, pool: Records, space: InputSpace) -> None:
    """Refuse what a search would refuse, before anything is paid for.

    Raises:
        InputError: It cannot start from these inputs or with so few queries.
    """
    with suppress(_ToBeAskedError):
        searched(estimator, n_queries, _Silent(pool.n_classes), pool, space, 0, np.arange(1))


@dataclass(frozen=True)
class Search(Probe):
    """A search from every record, with a budget of queries about each.

    Attributes:
        n_queries: Queries about each record at most.
        estimator: `surfree`, or `hop_skip_jump`, from `vestige.signals.boundary`.
    """

    n_queries: int = 1_000
    estimator: Estimator = surfree

    def n_queries_of(self, pool: Records, space: InputSpace, wanted: Collection[str]) -> int:
        """Return `n_queries`, whatever is made of the distances."""
        refuse_no_start(self.estimator, self.n_queries, pool, space)
        return self.n_queries

    def search(
        self, question: LabelQuestion, target: LabelTarget, rows: Rows | None = None, **options: Any
    ) -> BoundaryDistances:
        """Search from records; others are where a search starts if noise finds no other class.

        Args:
            question: Of the audit.
            target: What answers.
            rows: From which records; all if omitted.
            options: Further arguments of the estimator.

        Raises:
            InputError: The inputs are no array of numbers.
        """
        pool, space = question.pool, question.space
        return searched(self.estimator, self.n_queries, target, pool, space, question.seed, rows, **options)


def name_of(estimator: Estimator) -> str:
    """Its name, for a definition."""
    return str(getattr(estimator, "__name__", "own estimator"))


def not_found(attack: str, robust: Bool[np.ndarray, " record"]) -> Iterable[Check]:
    """Say of how many records no input of another class was found, and what they count as."""
    if robust.any():
        left = "" if attack == BOUNDARY else " that was left"
        message = (
            f"For {int(robust.sum()):,} of {robust.size:,} records no input of another class was found: {attack} "
            f"counts them {'as far as' if left else 'as'} the farthest{left}."
        )
        yield Check("boundary_not_found", Validity.VALID, message)
