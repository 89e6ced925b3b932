"""What querying a model will cost: queries, time and money, before anything is sent."""

import time
from collections.abc import Collection
from typing import Any

import numpy as np

from vestige.auditing.querying.session import TargetSession, keeps
from vestige.auditing.querying.settings import Querying
from vestige.core.messages import duration, money
from vestige.core.predictions import Predictions
from vestige.core.progress import silent
from vestige.core.records import Records
from vestige.targets.meter import PAID_AT_ONCE

_TIMED = 256  # records that a model of this process is timed with


def lines_of_asking(
    target: Any,
    members: Records,
    nonmembers: Records,
    querying: Querying,
    seed: int,
    *,
    last_layer: bool = False,
    wanted: Collection[str] | None = None,
) -> list[str]:
    """Say what an audit will ask of a model, in lines.

    A model of this process that costs nothing is timed on a few records. To one that is far away, or has a price or a
    budget, nothing is sent; its metadata may be read.

    Args:
        target: As of `audit`.
        members: Records the model was trained on.
        nonmembers: Others.
        querying: How it may be asked.
        seed: Of the audit.
        last_layer: As of `ask`.
        wanted: As of `ask`.

    Raises:
        BudgetError: The budget is smaller than this.
    """
    if isinstance(target, Predictions):
        return ["No queries: the table has the answers."]
    with TargetSession.open(target, members, nonmembers, querying, None, silent) as session:
        to_ask = session.reserve(seed, last_layer=last_layer, wanted=wanted)
        took = _time(target, session, querying, to_ask.total)
    n = to_ask.total
    parts = [f"{to_ask.once:,} for {session.pool.n_records:,} records", f"{to_ask.again} of them again, to compare"]
    parts += [f"{to_ask.gradients:,} gradients"] if to_ask.gradients else []
    if querying.views is not None:
        parts.append(f"{to_ask.views:,} for {querying.views.n_views - 1} other views of each")
    parts += [f"{to_ask.label_only:,} at most by label-only attacks"] if to_ask.label_only else []
    lines = [f"{n:,} queries: {', '.join(parts)}", took]
    if querying.price is not None:
        lines.append(f"{money(n * querying.price / 1000)} to pay, at {querying.price:g} per 1,000 queries")
    if querying.budget is not None:
        lines.append(f"{querying.budget - n:,} of the budget of {querying.budget:,} queries are left then")
        lines.append(_budget_of(target))
    return lines


def _budget_of(target: Any) -> str:
    """What a budget counts beside answers, and how much that may be."""
    limits = getattr(target, "limits", None)
    counted = "The budget is for all starts into one run, and counts what may have been answered: "
    if limits is None:
        return f"{counted}an audit that is killed loses up to {PAID_AT_ONCE} queries"
    return (
        f"{counted}each request that fails and is sent again (up to {limits.n_tries} times {limits.batch} queries), "
        f"and the {limits.n_connections} under way when an audit is killed; leave room for them"
    )


def _time(target: Any, session: TargetSession, querying: Querying, n_queries: int) -> str:
    limits = getattr(target, "limits", None)
    if limits is not None:
        n_requests = -(-n_queries // limits.batch)
        at_once = f"{n_requests:,} requests of up to {limits.batch} records, {limits.n_connections} at a time"
        if limits.per_second is None:
            return f"{at_once}; the time depends on the server (no per_second is set)"
        return f"{at_once}: at least {duration(n_requests / limits.per_second)} at {limits.per_second:g} per second"
    if keeps(session.model, querying):
        return "the time is not known: nothing was sent to measure it"
    few = session.pool.take(np.arange(min(_TIMED, session.pool.n_records))).inputs
    begun = time.perf_counter()
    session.model.answers(few)
    return f"about {duration((time.perf_counter() - begun) * n_queries / len(few))}, measured on {len(few)} records"
