"""A table of predictions instead of a model: its answers are matched with records by id, never by position."""

from typing import Any

import numpy as np

from vestige.core.errors import InputError, UnsupportedModelError
from vestige.core.ids import id_texts
from vestige.core.labels import as_numbers, number_of_text
from vestige.core.messages import few
from vestige.core.outputs import GradientNorms, Output, PredictedLabels
from vestige.core.predictions import Predictions
from vestige.core.records import Records
from vestige.core.targets import Access
from vestige.targets.access import predicted_labels


def answers_from_table(table: Predictions, pool: Records, member: np.ndarray, access: Access) -> tuple[Output, ...]:
    """Return a table's answers for the records, matched by id, in the order of the records' classes.

    Args:
        table: What a model answered, with ids.
        pool: The records, with ids.
        member: Which of them are members; the table must agree.
        access: What of the answers the adversary gets; norms of gradients are left out in any case.

    Raises:
        InputError: An id is missing, or sides, classes or labels differ.
        UnsupportedModelError: Gradients are asked for.
    """
    if access is Access.GRADIENTS:
        raise UnsupportedModelError("Expected a torch module for access to gradients, found a table of predictions.")
    rows = _rows_of(table, pool, member)
    named = None if table.classes is None else _columns(table, pool)
    labels = table.labels[rows] if named is None else np.argsort(named)[table.labels[rows]]
    if (labels != pool.labels).any():
        raise InputError(
            "Expected the table of predictions and the records to have the same labels, found others for "
            f"{_first(pool, labels != pool.labels)}; the ids are those of other records, or the classes are in another "
            "order: name them in both."
        )
    outputs = [_ordered(o, rows, named, pool.n_classes) for o in table.outputs if not isinstance(o, GradientNorms)]
    if access is Access.LABEL:
        answers = [o for o in outputs if isinstance(o, PredictedLabels) or o.n_axes == 2]
        if not answers:
            raise InputError("Expected predicted labels in the table, found none that a label-only attack could read.")
        return (predicted_labels(answers[-1]),)  # type: ignore[arg-type]
    if not outputs:
        raise InputError("Expected confidences or labels in the table, found norms of gradients alone; add the others.")
    return tuple(outputs)


def _rows_of(table: Predictions, pool: Records, member: np.ndarray) -> np.ndarray:
    """The table's row of every record, by id; the table must agree on who is a member."""
    if table.ids is None or pool.ids is None:
        raise InputError(
            "Expected ids in the table of predictions and in the records, found none in one of them; they are matched "
            "by id, never by position."
        )
    row_of = {i: row for row, i in enumerate(id_texts(table.ids).tolist())}
    wanted = id_texts(pool.ids).tolist()
    missing = [i for i in wanted if i not in row_of]
    if missing:
        raise InputError(
            f"Expected an answer for every record, found none for {len(missing):,} of {pool.n_records:,}, such as "
            f"{few(missing, 3)}; the table must hold their ids."
        )
    rows = np.array([row_of[i] for i in wanted])
    differs = table.member[rows] != member
    if differs.any():
        raise InputError(
            "Expected the table of predictions to agree on who is a member, found that it does not for "
            f"{_first(pool, differs)}."
        )
    return rows


def _first(pool: Records, which: np.ndarray) -> Any:
    """The id of the first of some records."""
    return None if pool.ids is None else pool.ids[int(np.argmax(which))]


def _ordered(output: Output, rows: np.ndarray, named: np.ndarray | None, n_classes: int) -> Output:
    """An output of the records in their order, its classes in that of theirs."""
    values = output.whole()[rows]
    if output.n_axes == 2 and named is None and values.shape[1] != n_classes:
        raise InputError(f"Expected the table to have the records' {n_classes} classes, found {values.shape[1]}.")
    if named is not None and output.n_axes == 2:
        values = values[:, named]
    elif named is not None and isinstance(output, PredictedLabels):
        values = np.argsort(named)[values]
    return type(output)(values)


def _columns(table: Predictions, pool: Records) -> np.ndarray:
    """The table's column of every class of the records, which are called by their numbers if they have no names."""
    names = [str(c) for c in table.classes]
    wanted = [str(k) for k in range(pool.n_classes)] if pool.classes is None else pool.classes
    if pool.classes is None and as_numbers([number_of_text(c) for c in names]) is None:
        # Names beside records without names: that the labels agree is what tells their order.
        if len(names) != len(wanted):
            raise InputError(f"Expected the table to have the records' {len(wanted)} classes, found {len(names)}.")
        return np.arange(len(names))
    unknown = [c for c in wanted if c not in names] + [c for c in names if c not in wanted]
    if unknown:
        raise InputError(
            f"Expected the same classes in the table and the records, found {few(unknown, 5)} in one of them."
        )
    return np.array([names.index(c) for c in wanted])
