"""What the columns of a table of records are called, and which of them a model is given."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from vestige.core.errors import InputError
from vestige.core.ids import id_texts

ROW_NAMES = re.compile(r"|__index_level_\d+__")  # R's unnamed column, and what pandas adds to Parquet


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

    @property
    def wanted(self) -> dict[str, Sequence[str] | None]:
        """Columns that must be there, by how others are named."""
        single = {"as label": self.label, "as id": self.id, "as subject": self.subject}
        return {**single, "as a group": self.groups, "as order": self.order, "as an input": self.inputs}


def resolved(names: Sequence[str], columns: RecordColumns) -> RecordColumns:
    """Return columns with those of ids, subjects and inputs that are there without being named.

    Raises:
        InputError: The label is among the inputs, or no input is left.

    Example:
        >>> resolved(["age", "ward", "label", "id"], RecordColumns(groups=["ward"])).inputs
        ('age', 'ward')
    """
    id_ = columns.id or ("id" if "id" in names else None)
    subject = columns.subject or ("subject" if "subject" in names else None)
    others = {columns.label, id_, subject, *columns.order}
    inputs = columns.inputs or [n for n in dict.fromkeys(names) if n not in others and not ROW_NAMES.fullmatch(n)]
    if columns.label in inputs:
        raise InputError(
            f"Expected inputs without the label, found {columns.label} among them; leave it out of the inputs."
        )
    if not inputs:
        raise InputError(
            f"Expected columns that a model is given, found none beside {columns.label}; add the features."
        )
    return replace(columns, id=id_, subject=subject, inputs=inputs)


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
