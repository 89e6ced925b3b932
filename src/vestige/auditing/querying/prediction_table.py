"""A table of predictions in the place of a model: its answers matched with records by id, never by position."""

from collections.abc import Sequence

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
    if (table.member[rows] != member).any():
        first = pool.ids[int(np.argmax(table.member[rows] != member))]
        raise InputError(
            f"Expected the table of predictions to agree on who is a member, found that it does not for {first}."
        )
    named = None if table.classes is None else _columns(table, pool)
    labels = table.labels[rows] if named is None else np.argsort(named)[table.labels[rows]]
    if (labels != pool.labels).any():
        first = pool.ids[int(np.argmax(labels != pool.labels))]
        raise InputError(
            f"Expected the table of predictions and the records to have the same labels, found others for {first}; "
            "the ids are those of other records, or the classes are in another order: name them in both."
        )
    outputs: list[Output] = []
    for output in table.outputs:
        if isinstance(output, GradientNorms):
            continue
        values = output.whole()[rows]
        if output.n_axes == 2:
            if named is None and values.shape[1] != pool.n_classes:
                raise InputError(
                    f"Expected the table to have the records' {pool.n_classes} classes, found {values.shape[1]}."
                )
            values = values if named is None else values[:, named]
        elif isinstance(output, PredictedLabels) and named is not None:
            values = np.argsort(named)[values]
        outputs.append(type(output)(values))
    if access is Access.LABEL:
        answers = [o for o in outputs if isinstance(o, PredictedLabels) or o.n_axes == 2]
        if not answers:
            raise InputError("Expected predicted labels in the table, found none that a label-only attack could read.")
        return (predicted_labels(answers[-1]),)  # type: ignore[arg-type]
    if not outputs:
        raise InputError("Expected confidences or labels in the table, found norms of gradients alone; add the others.")
    return tuple(outputs)


def _columns(table: Predictions, pool: Records) -> np.ndarray:
    """The table's column of every class of the records, which are called by their numbers if they have no names."""
    names = [str(c) for c in table.classes]
    wanted = [str(k) for k in range(pool.n_classes)] if pool.classes is None else pool.classes
    if pool.classes is None and as_numbers([number_of_text(c) for c in names]) is None:
        return _in_order(names, wanted)
    unknown = [c for c in wanted if c not in names] + [c for c in names if c not in wanted]
    if unknown:
        raise InputError(
            f"Expected the same classes in the table and the records, found {few(unknown, 5)} in one of them."
        )
    return np.array([names.index(c) for c in wanted])


def _in_order(names: Sequence[str], wanted: Sequence[str]) -> np.ndarray:
    """Columns as they are: names beside records without names; that the labels agree is what tells their order."""
    if len(names) != len(wanted):
        raise InputError(f"Expected the table to have the records' {len(wanted)} classes, found {len(names)}.")
    return np.arange(len(names))
