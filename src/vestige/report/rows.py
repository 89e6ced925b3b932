"""The results table as a reader asks it: by name, and which rows to show. Values are never changed."""

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields

import pandas as pd

from vestige.core.result import Finding, Status

SHOWN_GROUPS = 12
"""Classes or groups drawn; the others are in `results.csv`."""

_RATE = re.compile(r"tpr_at_fpr_(.+)")
_FIXED = re.compile(r"(?:shadow|known_half)_fpr_(.+)")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One row of the results: a number with its interval, counts and status."""

    value: float = math.nan
    lower: float = math.nan
    upper: float = math.nan
    n_members: int | None = None
    n_nonmembers: int | None = None
    false_positives: int | None = None
    status: str = Status.OK
    definition: str = ""

    @property
    def is_ok(self) -> bool:
        """Whether the number may be used."""
        return self.status == Status.OK and not math.isnan(self.value)


class Rows:
    """The rows of a results table by attack, threshold, metric and group.

    Where an audit counts both records and subjects, the rows over subjects stand: theirs are the intervals to trust.
    """

    def __init__(self, results: pd.DataFrame) -> None:
        ordered = results.sort_values("unit", kind="stable")  # "record" < "subject": the later wins
        names = ("attack", "threshold", "metric", "group")
        keys = zip(*(ordered[name].tolist() for name in names), strict=True)
        self._cells = dict(zip(keys, _cells(ordered), strict=True))
        self.unit = str(ordered["unit"].iloc[-1]) if len(ordered) else "record"
        # The privacy risk score has rows without a ROC, and a section of its own.
        self.attacks: list[str] = [
            key[0] for key in self._cells if key[1:] == ("roc", "auc", "all") and key[0] != "worst"
        ]
        self.thresholds = self._distinct(1, lambda name: name.startswith(("natural", "shadow_", "known_half_")))
        self.fprs = sorted(
            (match[1] for match in map(_RATE.fullmatch, self._distinct(2)) if match), key=float, reverse=True
        )
        self.classes = self._distinct(3, lambda name: name.startswith("class="))
        self.groups = self._distinct(3, lambda name: "=" in name and not name.startswith("class="))

    def _distinct(self, position: int, keep: Callable[[str], bool] = bool) -> list[str]:
        return [name for name in dict.fromkeys(key[position] for key in self._cells) if keep(name)]

    def get(self, attack: str, threshold: str, metric: str, group: str = "all") -> Cell | None:
        """Find a row; None where the audit has none."""
        return self._cells.get((attack, threshold, metric, group))

    def has(self, threshold: str, metric: str) -> bool:
        """Whether any attack has this row over all records."""
        return any(self.get(attack, threshold, metric) for attack in self.attacks)

    def resolves(self, fpr: str) -> bool:
        """Whether any attack has enough nonmembers for a rate."""
        cells = (self.get(attack, "roc", f"tpr_at_fpr_{fpr}") for attack in self.attacks)
        return any(cell is not None and cell.status != Status.NOT_RESOLVABLE for cell in cells)

    @property
    def plain_rules(self) -> list[str]:
        """Threshold rules that aim at the best balanced accuracy."""
        return [name for name in self.thresholds if not _FIXED.fullmatch(name)]

    @property
    def fixed_rules(self) -> list[str]:
        """Threshold rules that aim at a false-positive rate."""
        return [name for name in self.thresholds if _FIXED.fullmatch(name)]

    def leading(self, finding: Finding) -> str | None:
        """Choose the attack to draw first: the largest TPR at the headline rate, else the largest AUC."""
        return next(iter(self.strongest_first(finding)), None)

    def strongest_first(self, finding: Finding) -> list[str]:
        """Sort the attacks by their TPR at the headline rate, else by their AUC."""
        headline = next((fpr for fpr in self.fprs if float(fpr) == finding.fpr), None)
        metric = "auc" if headline is None else f"tpr_at_fpr_{headline}"
        return sorted(self.attacks, key=lambda name: -value_or_lowest(self.get(name, "roc", metric)))

    def differences(self, groups: Iterable[str], attack: str) -> list[tuple[str, Cell, dict[str, Cell]]]:
        """Choose the groups whose areas differ most from those of all others.

        Returns:
            Of each its name, the difference of areas, and by rate those of rates, where there are some.
        """
        found = []
        for name in groups:
            area = self.get(attack, "roc", "difference_auc", name)
            rates = {fpr: self.get(attack, "roc", f"difference_tpr_at_fpr_{fpr}", name) for fpr in self.fprs}
            if area is not None:
                found.append((name, area, {fpr: cell for fpr, cell in rates.items() if cell is not None}))
        return sorted(found, key=lambda one: -abs(one[1].value))[:SHOWN_GROUPS]

    def worst_first(self, groups: Iterable[str], attack: str, most: int = SHOWN_GROUPS) -> list[str]:
        """Choose the groups to show: those with the largest AUC, then those that cannot be shown."""
        return sorted(groups, key=lambda name: -value_or_lowest(self.get(attack, "roc", "auc", name)))[:most]


def value_or_lowest(cell: Cell | None) -> float:
    """Return what to sort by: the value, or less than any value where it must not be shown."""
    if cell is None or math.isnan(cell.value) or cell.status == Status.SUPPRESSED:
        return -math.inf
    return cell.value


def fixed_fpr(threshold: str) -> float:
    """Return the false-positive rate that a threshold rule aims at.

    Example:
        >>> fixed_fpr("shadow_fpr_0.01")
        0.01
    """
    match = _FIXED.fullmatch(threshold)
    return float(match[1]) if match else math.nan


def _cells(results: pd.DataFrame) -> list[Cell]:
    counts = (
        [None if pd.isna(n) else int(n) for n in results[name].tolist()]
        for name in ("n_members", "n_nonmembers", "false_positives")
    )
    numbers = (results[name].tolist() for name in ("value", "lower", "upper"))
    words = (results[name].tolist() for name in ("status", "definition"))
    names = [entry.name for entry in fields(Cell)]
    return [Cell(**dict(zip(names, row, strict=True))) for row in zip(*numbers, *counts, *words, strict=True)]
