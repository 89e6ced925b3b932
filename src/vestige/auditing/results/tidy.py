"""Rows of the result table: how a number becomes a row, and which rows must not be shown."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from vestige.core.result import RESULT_DTYPES, Status
from vestige.evaluation.intervals import NO_INTERVAL, Interval

if TYPE_CHECKING:
    import pandas as pd

NAN = float("nan")


@dataclass(frozen=True)
class Row:
    """One number of the result table; the columns that are the same in every row are added at the end."""

    attack: str
    threshold: str
    metric: str
    group: str
    value: float
    interval: Interval
    n_members: int | None
    n_nonmembers: int | None
    definition: str
    false_positives: int | None = None
    status: Status = Status.OK

    @property
    def usable(self) -> bool:
        """Whether headline and gate may read it."""
        return self.status is Status.OK


@dataclass(frozen=True)
class Common:
    """Columns that are the same in every row of an audit, but for the access of a row about one attack."""

    unit: str
    target: str
    access: str
    access_by_attack: Mapping[str, str]
    queries_by_attack: Mapping[str, int]
    defence: str = "none stated"
    n_references: int = 0


@dataclass
class Table:
    """Rows in the order they are added."""

    common: Common
    rows: list[Row] = field(default_factory=list)

    def extend(self, rows: Iterable[Row]) -> None:
        """Append rows; a number that does not exist makes its row UNDEFINED."""
        for row in rows:
            if math.isnan(row.value) and row.status is Status.OK:
                row = replace(row, status=Status.UNDEFINED, interval=NO_INTERVAL)
            self.rows.append(row)

    def frame(self) -> "pd.DataFrame":
        """The table with the columns and types of `RESULT_DTYPES`."""
        import pandas as pd

        common = asdict(self.common)
        access, n_queries = common.pop("access_by_attack"), common.pop("queries_by_attack")
        columns: dict[str, list[object]] = {name: [] for name in RESULT_DTYPES}
        for row in self.rows:
            values = {**vars(row), **common, "lower": row.interval.lower, "upper": row.interval.upper}
            for name, column in columns.items():
                column.append(str(values[name]) if name == "status" else values.get(name))
        columns["n_queries"] = [n_queries.get(row.attack, 1) for row in self.rows]
        columns["access"] = [access.get(row.attack, self.common.access) for row in self.rows]
        return pd.DataFrame({name: pd.Series(v, dtype=RESULT_DTYPES[name]) for name, v in columns.items()})


def too_small(
    n_members: Sequence[int] | np.ndarray,
    n_nonmembers: Sequence[int] | np.ndarray,
    min_cell: int,
    already: np.ndarray | bool = False,
) -> np.ndarray:
    """Which groups of one grouping must be hidden: those with a cell under `min_cell`, and enough to mask them.

    What is hidden can be found together by subtracting what is shown from the total, so the next smallest groups are
    hidden too, until the hidden ones together have `min_cell` units on each side. Groups that nobody is in are not
    hidden: there is nobody to disclose, and nothing to show. `already` are those that are hidden for another reason.

    Example:
        >>> too_small([3, 40, 50], [30, 30, 30], 10).tolist()
        [True, True, False]
    """
    members, nonmembers = np.asarray(n_members), np.asarray(n_nonmembers)
    smallest = np.minimum(members, nonmembers)
    empty = members + nonmembers == 0
    hidden = (smallest < min_cell) & ~empty | already
    for group in np.argsort(smallest, kind="stable"):
        if not hidden.any() or min(members[hidden].sum(), nonmembers[hidden].sum()) >= min_cell:
            break
        if not empty[group]:
            hidden[group] = True
    return np.asarray(hidden)


def hidden_row(attack: str, group: str, min_cell: int) -> Row:
    """The row that stands for a hidden group."""
    return Row(
        attack, "roc", "auc", group, NAN, NO_INTERVAL, None, None,
        f"hidden: fewer than {min_cell} units on a side, or needed to hide such a group or a difference of groups",
        status=Status.SUPPRESSED,
    )  # fmt: skip
