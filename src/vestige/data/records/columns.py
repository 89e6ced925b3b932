"""What the columns of a table of records are called, and which of them a model is given."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from vestige.core.errors import InputError
from vestige.core.ids import id_texts
from vestige.core.messages import few

_ROW_NAMES = re.compile(r"|__index_level_\d+__")  # R's unnamed column, and what pandas adds to Parquet


@dataclass(frozen=True)
class RecordColumns:
    """How a table of records is organised.

    Attributes:
        label: True class.
        id: One unique id per record; None: the column `id` if there is one, else records go by their row numbers.
        subject: Whose record it is; None: the column `subject` if there is one.
        groups: Subpopulations to report on. They are inputs too, unless `inputs` says otherwise.
        order: Columns of time or order.
        inputs: What a model is given; empty: every column but those of label, id, subject and order.
    """

    label: str = "label"
    id: str | None = None
    subject: str | None = None
    groups: Sequence[str] = ()
    order: Sequence[str] = ()
    inputs: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name in ("groups", "order", "inputs"):
            value = getattr(self, name)
            object.__setattr__(self, name, (value,) if isinstance(value, str) else tuple(value))


@dataclass(frozen=True)
class RecordRoles:
    """Which column of a table plays which part."""

    label: str
    id: str | None
    subject: str | None
    groups: tuple[str, ...]
    order: tuple[str, ...]
    inputs: tuple[str, ...]
    unused: tuple[str, ...]

    @property
    def needed(self) -> list[str]:
        """All columns that play a part, each once."""
        single = [name for name in (self.label, self.id, self.subject) if name is not None]
        return list(dict.fromkeys([*single, *self.groups, *self.order, *self.inputs]))


def record_roles(names: Sequence[str], columns: RecordColumns) -> RecordRoles:
    """Find the part of every column.

    Raises:
        InputError: A column is missing or there twice, the label is among the inputs, or no input is left.

    Example:
        >>> record_roles(["age", "ward", "label", "id"], RecordColumns(groups=["ward"])).inputs
        ('age', 'ward')
    """
    for column, part in _named(columns):
        if column not in names:
            raise InputError(
                f"Expected a column {column}, found {few([n for n in names if n])}; name another as {part}."
            )
    id_ = columns.id or _if_there("id", names)
    subject = columns.subject or _if_there("subject", names)
    others = {columns.label, id_, subject, *columns.order}
    features = [n for n in dict.fromkeys(names) if not _ROW_NAMES.fullmatch(n)]
    inputs = tuple(columns.inputs) or tuple(n for n in features if n not in others)
    _check_inputs(inputs, columns.label)
    roles = RecordRoles(columns.label, id_, subject, tuple(columns.groups), tuple(columns.order), inputs, ())
    _refuse_repeated(names, roles.needed)
    unused = tuple(n for n in features if n not in roles.needed)
    return RecordRoles(columns.label, id_, subject, roles.groups, roles.order, inputs, unused)


def refuse_shared_ids(ids: Sequence[np.ndarray]) -> None:
    """Refuse ids that are in more than one file.

    Raises:
        InputError: There are some.
    """
    found, counts = np.unique(np.concatenate([np.unique(id_texts(own)) for own in ids]), return_counts=True)
    shared = found[counts > 1]
    if shared.size:
        raise InputError(
            f"Expected every id in one of the files, found {shared.size:,} in both, such as {shared[0]!s}; a record "
            "was trained on or it was not: leave it out of one."
        )


def _named(columns: RecordColumns) -> Iterator[tuple[str, str]]:
    yield columns.label, "label"
    for part in ("id", "subject"):
        if getattr(columns, part) is not None:
            yield getattr(columns, part), part
    for part, names in (("a group", columns.groups), ("order", columns.order), ("an input", columns.inputs)):
        for name in names:
            yield name, part


def _check_inputs(inputs: Sequence[str], label: str) -> None:
    if label in inputs:
        raise InputError(f"Expected inputs without the label, found {label} among them; leave it out of the inputs.")
    if not inputs:
        raise InputError(f"Expected columns that a model is given, found none beside {label}; add the features.")


def _refuse_repeated(names: Sequence[str], needed: Sequence[str]) -> None:
    for name in needed:
        if names.count(name) > 1:
            raise InputError(f"Expected one column {name}, found {names.count(name)}; rename the others.")


def _if_there(name: str, names: Sequence[str]) -> str | None:
    return name if name in names else None
