"""The units split by class and by the groups that a user names, with small cells hidden."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vestige.auditing.results.differences import Column, hidden_groups
from vestige.auditing.results.inputs import AuditInputs, Scored
from vestige.auditing.results.operating_points import OperatingPoint
from vestige.auditing.results.rows import Row, call_rows, count_calls, hidden_row
from vestige.core.names import harmless_names
from vestige.core.seeds import stream
from vestige.evaluation.preflight.records_per_subject import comparable_rows
from vestige.evaluation.roc import Roc, roc
from vestige.evaluation.thresholds import decide
from vestige.evaluation.units import Units, rows_of_levels

_MOST_HIDDEN_NAMES = 5  # a column with more small groups than this may be one of ids


@dataclass(frozen=True, kw_only=True, eq=False)
class Partition:
    """The units split by class or by a group column.

    Attributes:
        names: Name of each group in the result table.
        codes: Group of each record.
        units: Units of one group only; a subject with records in two groups is two of them.
        rows: Numbers of each group's units; where the sides' people have different numbers of records there, of those
            who can be compared.
        hidden: Groups that must not be shown.
        min_cell: Smallest cell that may be shown.
        is_class: Whether the groups are the classes.
    """

    names: tuple[str, ...]
    codes: np.ndarray
    units: Units
    rows: list[np.ndarray]
    hidden: np.ndarray
    min_cell: int
    is_class: bool

    def _shown(self) -> Iterator[tuple[str, np.ndarray]]:
        for name, rows, hidden in zip(self.names, self.rows, self.hidden, strict=True):
            if not hidden and self.units.member[rows].any() and not self.units.member[rows].all():
                yield name, rows

    def curves(self, attack: str, scores: np.ndarray) -> dict[tuple[str, str], Roc]:
        """A ROC per group that is shown and has both sides."""
        of_units, member = self.units.score(scores), self.units.member
        return {
            (attack, name): roc(of_units[rows][member[rows]], of_units[rows][~member[rows]])
            for name, rows in self._shown()
        }

    def call_rows(self, attack: str, scores: np.ndarray, point: OperatingPoint) -> Iterator[Row]:
        """Every metric of the calls within each group."""
        called = decide(self.units, scores, point.values, point.strict)
        for name, rows in self._shown():
            counts = count_calls(called[rows], self.units.member[rows])
            yield from call_rows(attack, name, point.rule, counts)

    def hidden_rows(self, attacks: tuple[str, ...]) -> Iterator[Row]:
        """A row without numbers for each hidden group, or for all of them where their names could be people's."""
        names = [name for name, hidden in zip(self.names, self.hidden, strict=True) if hidden]
        if not self.is_class and len(names) > _MOST_HIDDEN_NAMES:
            names = [f"{names[0].partition('=')[0]}={len(names)} small groups"]
        for name in names:
            for attack in attacks:
                yield hidden_row(attack, name, self.min_cell)


def partitions_of(audited: AuditInputs, scored: Scored) -> list[Partition]:
    """Split the units that some attacks score by class and by each group column."""
    target = audited.target.predictions
    groupings: list[tuple[str, np.ndarray, list[str]]] = [
        (
            "class",
            audited.target.labels,
            [target.class_name(c) for c in range(target.n_classes)],
        )
    ]
    for name, values in target.groups.items():
        distinct, codes = np.unique(values[audited.target.keep], return_inverse=True)
        groupings.append((name, codes, [str(level) for level in distinct]))
    taken_apart, columns = [], []
    for _, codes, levels in groupings:
        of_scored = scored.of(codes)
        units, unit_codes = scored.units.within(of_scored)
        rng = stream(audited.options.seed, "matched people of a group")
        rows = [comparable_rows(of_level, units, rng) for of_level in rows_of_levels(unit_codes, len(levels))]
        n_members = np.array([np.count_nonzero(units.member[r]) for r in rows])
        n_nonmembers = np.array([r.size for r in rows]) - n_members
        taken_apart.append((units, rows))
        columns.append(Column(of_scored, n_members, n_nonmembers))
    member = np.asarray(scored.units.of(scored.units.member))
    hidden = hidden_groups(columns, member, scored.units.of_record, audited.options.min_cell)
    names = ["class", *harmless_names(target.groups)]
    return [
        Partition(
            names=tuple(f"{name}={level}" for level in harmless_names(levels)),
            codes=column.codes,
            units=units,
            rows=rows,
            hidden=of_column,
            min_cell=audited.options.min_cell,
            is_class=place == 0,
        )
        for place, (name, (_, _, levels), column, (units, rows), of_column) in enumerate(
            zip(names, groupings, columns, taken_apart, hidden, strict=True)
        )
    ]
