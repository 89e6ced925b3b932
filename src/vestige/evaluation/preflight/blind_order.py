"""Can membership be guessed from a time or order the user named?"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from vestige.core.errors import InputError
from vestige.core.result import Check
from vestige.evaluation.preflight.judgement import DRAW_FROM_ONE_POOL, judge, judged
from vestige.evaluation.preflight.mann_whitney import any_difference, mann_whitney
from vestige.evaluation.preflight.per_unit import unit_means, unit_members, unit_numbers
from vestige.evaluation.roc import roc

LEVEL = 0.005
"""Honest random splits flagged at most; shared by all named columns, and by two tests in each."""


def blind_order(
    order: Mapping[str, Any], member: Bool[np.ndarray, " record"], units: Int[np.ndarray, " record"] | None
) -> list[Check]:
    """Ask of every named column whether one side is earlier, or in other ways elsewhere, than the other.

    A two-sided rank test (earlier or later) and Kolmogorov and Smirnov's (any difference, such as members from the
    middle of the year). A subject stands at the mean of its records. Only columns the user named are tested: the
    position in a file and the ids say nothing about how records were drawn.

    Args:
        order: One value per record under each name: numbers, dates, or text in ISO 8601.
        member: Whether each record is a member.
        units: Subject of each record, none on both sides; None if every record is its own.

    Returns:
        One check per column: LIMITED if a test rejects at its share of `LEVEL`, CONFOUNDED if besides the 95 %
        lower bound of the better guess (by rank, or by one cut) exceeds 0.55.

    Raises:
        InputError: A column is neither numbers nor dates, has missing values or another length, or a subject is on
            both sides.

    Example:
        >>> days = np.array(["2024-01-01"] * 100 + ["2024-02-01"] * 100)
        >>> [check.name for check in blind_order({"visit": days}, np.arange(200) < 100, None)]
        ['blind_order: visit']
    """
    number = unit_numbers(units, member.size)
    side = unit_members(member, number)
    level = LEVEL / max(1, len(order))
    checks = []
    for name, values in order.items():
        times = unit_means(_as_numbers(name, values, member.size), number)
        checks.append(_check(name, times, side, level))
    return checks


def _check(name: str, times: Float[np.ndarray, " unit"], side: Bool[np.ndarray, " unit"], level: float) -> Check:
    curve = roc(times[side], times[~side])
    test = mann_whitney(curve)
    p_value, distance, scale = any_difference(curve)
    # Both bounds hold at once: 97.5 % each; 1.48 is Kolmogorov's quantile. One cut at best guesses (1 + distance) / 2.
    by_rank = max(test.lower(0.9875), 1 - test.upper(0.9875))
    by_cut = (1 + distance - 1.48 * scale) / 2
    validity = judge(p_value, level, max(by_rank, by_cut))
    side_of, share = ("later", test.auc) if test.auc >= 0.5 else ("earlier", 1 - test.auc)
    message = (
        f"By column {name!r} alone, members come {side_of} than nonmembers in {100 * share:.1f}% of all pairs (50% if "
        f"the sides do not differ; p = {p_value:.2g}); the sides' distributions differ by up to "
        f"{100 * distance:.1f} points"
    )
    return judged(f"blind_order: {name}", validity, message, "", DRAW_FROM_ONE_POOL)


def _as_numbers(name: str, values: Any, n_records: int) -> np.ndarray:
    column = np.asarray(values)
    if column.shape != (n_records,):
        raise InputError(
            f"Expected one entry of order column {name!r} per record, found shape {column.shape} for {n_records:,}."
        )
    try:
        if column.dtype.kind in "biuf":
            numbers = np.asarray(column, dtype=np.float64)
        elif column.dtype.kind != "M" and (parsed := _text_as_numbers(column)) is not None:
            numbers = parsed
        else:
            dates = pd.to_datetime(pd.Series(column), format="ISO8601", utc=True)
            numbers = np.asarray((dates - pd.Timestamp(0, tz="UTC")).dt.total_seconds(), dtype=np.float64)
    except (TypeError, ValueError) as error:
        found = str(next((v for v in column.ravel().tolist() if not _is_time(v)), column.dtype))[:40]
        raise InputError(
            f"Expected numbers, dates or text like 2024-12-31 in order column {name!r}, found {found!r}; "
            "name another column or rewrite it."
        ) from error
    if np.isnan(numbers).any():
        raise InputError(
            f"Expected a value in order column {name!r} for every record, found {int(np.isnan(numbers).sum()):,} "
            "missing; leave the column or these records out."
        )
    return numbers


def _text_as_numbers(column: np.ndarray) -> np.ndarray | None:
    try:
        return column.astype(np.float64)
    except (TypeError, ValueError):
        return None


def _is_time(value: Any) -> bool:
    try:
        pd.to_datetime(pd.Series([value]), format="ISO8601", utc=True)
    except (TypeError, ValueError):
        return False
    return True
