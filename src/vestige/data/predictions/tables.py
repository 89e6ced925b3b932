"""Tables of predictions, CSV or Parquet: one with a member column, or one of members and one of nonmembers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vestige.core.blocks import ArrayTable
from vestige.core.errors import InputError
from vestige.core.ids import id_texts, without_fractions
from vestige.core.messages import few
from vestige.core.outputs import GradientNorms, Logits, Loss, Output, Phi, PredictedLabels, Probabilities
from vestige.core.predictions import Predictions
from vestige.data.formats import cells
from vestige.data.formats.classes import codes_of_names, codes_without_columns, integers_if_all, refuse_regression
from vestige.data.formats.csv_file import NO_ROWS, CsvFile, open_csv
from vestige.data.formats.files import Format, PathLike, expect_format, named
from vestige.data.formats.parquet_file import ParquetFile, open_parquet
from vestige.data.formats.unused import distinct_values, notes_on_unused
from vestige.data.predictions.columns import (
    GRADIENT_NORM,
    LOSS,
    PHI,
    Columns,
    Roles,
    assign_roles,
    positive_pair,
    require_columns,
)

_TABLES = (Format.CSV, Format.CSV_GZIP, Format.PARQUET)


@dataclass(frozen=True)
class _Part:
    """The needed columns of one file."""

    labels: np.ndarray
    predicted: np.ndarray | None
    numeric: Mapping[str, np.ndarray]
    named: Mapping[str, np.ndarray]  # member, id, subject and groups, as text
    order: Mapping[str, np.ndarray]
    inputs: Any
    unused: Sequence[str]
    distinct: Mapping[str, np.ndarray]  # values of the unused columns


def read_table(
    path: PathLike,
    columns: Columns | None = None,
    *,
    classes: Sequence[str] | None = None,
    members: Callable[[], Sequence[Any]] | None = None,
) -> Predictions:
    """Read predictions from a table with a member column, or with ids where it is known who is a member.

    The outputs are the columns `prob_<class>` or `logit_<class>`; else columns named exactly as the labels that
    occur; and or `loss`, `phi`, `predicted`. Labels are matched with these columns by name.

    Args:
        path: CSV (comma, semicolon or tab; plain or gzipped; UTF-8) or Parquet.
        columns: How its columns are named.
        classes: Class names known from elsewhere, such as the target's for a shadow model.
        members: Gives the ids of all members; asked only if there is no member column.

    Returns:
        The predictions.

    Raises:
        InputError: The file is damaged or of another format, lacks a column or an entry, or what is in it cannot
            be predictions.
    """
    columns = Columns() if columns is None else columns
    file = _open(path, columns)
    with named(file.name):
        by_id = None if columns.member in file.names else members
        if by_id is not None:
            columns = replace(columns, id=columns.id or "id")
        require_columns(file.names, columns, member=by_id is None)
        roles = _roles([file], columns, classes)
    part = _load(file, roles, columns)
    with named(file.name):
        if by_id is None:
            member = _members(part, columns)
        else:
            member = np.isin(id_texts(part.named[str(roles.id)]), id_texts(list(by_id())))
        return _predictions([part], roles, columns, classes, member, file.name)


def read_two_tables(
    members: PathLike,
    nonmembers: PathLike,
    columns: Columns | None = None,
    *,
    classes: Sequence[str] | None = None,
) -> Predictions:
    """Read predictions from a table of members and a table of nonmembers; neither needs a member column.

    Args:
        members: Records the model was trained on: CSV or Parquet, as for `read_table`.
        nonmembers: Records it was not trained on, with the same columns.
        columns: How the columns are named.
        classes: Class names known from elsewhere, such as the target's for a shadow model.

    Returns:
        The predictions, members first.

    Raises:
        InputError: As `read_table`; or a column is in one file only, or a member column contradicts the file.
    """
    columns = Columns() if columns is None else columns
    files = [_open(members, columns), _open(nonmembers, columns)]
    if files[0].path.samefile(files[1].path):
        raise InputError(f"{files[0].name}: Expected two files, found the same as members and as nonmembers.")
    for file in files:
        with named(file.name):
            require_columns(file.names, columns, member=False)
    both = " and ".join(file.name for file in files)
    with named(both):
        roles = _roles(files, columns, classes)
    parts = []
    for file, other, is_member in ((files[0], files[1], True), (files[1], files[0], False)):
        _require_same(file, other, roles)
        parts.append(_load(file, roles, columns))
        with named(file.name):
            _check_side(parts[-1], columns, is_member)
    member = np.repeat([True, False], [part.labels.size for part in parts])
    with named(both):
        return _predictions(parts, roles, columns, classes, member, both)


def _open(path: PathLike, columns: Columns) -> CsvFile | ParquetFile:
    found = expect_format(path, *_TABLES)
    return open_parquet(path) if found is Format.PARQUET else open_csv(path, found, columns.label)


def _roles(files: Sequence[CsvFile | ParquetFile], columns: Columns, classes: Sequence[str] | None) -> Roles:
    names = list(dict.fromkeys(name for file in files for name in file.names))

    def label_values() -> list[str]:
        found = [_texts(file, columns.label) for file in files]
        return [str(value) for value in np.unique(np.concatenate(found))]

    return assign_roles(names, columns, label_values=label_values, classes=classes)


def _texts(file: CsvFile | ParquetFile, column: str) -> np.ndarray:
    _refuse_repeated(file, [column])
    table = file.load([], [column])
    with named(file.name):
        return cells.texts(table[column], column)


def _require_same(file: CsvFile | ParquetFile, other: CsvFile | ParquetFile, roles: Roles) -> None:
    missing = [n for n in (*roles.text, *roles.numeric) if n not in file.names and n != roles.member]
    if missing:
        raise InputError(
            f"{file.name}: Expected the columns of {other.name}, found {few(missing)} missing; "
            "write both files with the same columns."
        )


def _refuse_repeated(file: CsvFile | ParquetFile, needed: Sequence[str]) -> None:
    for name in needed:
        if file.names.count(name) > 1:
            raise InputError(
                f"{file.name}: Expected one column {name}, found {file.names.count(name)}; rename the others."
            )


def _load(file: CsvFile | ParquetFile, roles: Roles, columns: Columns) -> _Part:
    needed_text = [name for name in roles.text if name in file.names]
    _refuse_repeated(file, [*needed_text, *roles.numeric])
    table = file.load(roles.numeric, needed_text)
    decimal = file.decimal if isinstance(file, CsvFile) else "."
    used = {*roles.text, *roles.numeric, columns.member, ""}  # R's unnamed column of row names is nobody's
    unused = [name for name in file.names if name not in used]
    by_name = [n for n in (roles.member, roles.id, roles.subject, *roles.groups) if n is not None]
    with named(file.name):
        if table.num_rows == 0:
            raise InputError(NO_ROWS)
        return _Part(
            labels=cells.texts(table[roles.label], roles.label),
            predicted=None if roles.predicted is None else cells.texts(table[roles.predicted], roles.predicted),
            numeric={name: cells.numbers(table[name], name) for name in roles.numeric},
            named={name: cells.texts(table[name], name) for name in by_name if name in file.names},
            order={name: cells.ordered(table[name], name, decimal) for name in roles.order},
            inputs=cells.inputs(table, roles.inputs, decimal) if roles.inputs else None,
            unused=unused,
            distinct=distinct_values(file, unused),
        )


def _members(part: _Part, columns: Columns) -> np.ndarray:
    """The member column; 1.0 is 1, which is what a column of integers becomes beside missing values."""
    member = part.named[columns.member]
    whole: np.ndarray = np.where(member == "1.0", "1", np.where(member == "0.0", "0", member))
    return whole


def _check_side(part: _Part, columns: Columns, is_member: bool) -> None:
    if columns.member not in part.named:
        return
    said = np.char.lower(_members(part, columns))
    agreeing = ("1", "true") if is_member else ("0", "false")
    wrong = np.flatnonzero(~np.isin(said, agreeing))
    if wrong.size:
        side, option = ("members", "--members") if is_member else ("nonmembers", "--nonmembers")
        raise InputError(
            f"Expected {side} only, found {columns.member} = {said[wrong[0]]} in data row {int(wrong[0]) + 1:,}; "
            f"give the file of {side} with {option}, or leave out the column {columns.member}."
        )


def _predictions(
    parts: Sequence[_Part],
    roles: Roles,
    columns: Columns,
    classes: Sequence[str] | None,
    member: np.ndarray,
    name: str,
) -> Predictions:
    def joined(column: str | None, *, are_ids: bool = True) -> np.ndarray | None:
        if column is None:
            return None
        texts = np.concatenate([part.named[column] for part in parts])
        return integers_if_all(without_fractions(texts) if are_ids else texts)

    labels = np.concatenate([part.labels for part in parts])
    predicted = [part.predicted for part in parts if part.predicted is not None]
    numeric = {column: np.concatenate([part.numeric[column] for part in parts]) for column in roles.numeric}
    known, codes, guesses = _codes(labels, np.concatenate(predicted) if predicted else None, roles, columns, classes)
    return Predictions(
        tuple(_outputs(numeric, guesses, roles, known, columns, name)),
        labels=codes,
        member=member,
        ids=joined(roles.id),
        subjects=joined(roles.subject),
        groups={group: joined(group, are_ids=False) for group in roles.groups},
        inputs=_joined_inputs([part.inputs for part in parts]),
        order={column: _joined_order([part.order[column] for part in parts]) for column in roles.order},
        classes=known,
        notes=_notes(parts),
    )


def _notes(parts: Sequence[_Part]) -> tuple[str, ...]:
    unused = list(dict.fromkeys(name for part in parts for name in part.unused))
    names = set.intersection(*(set(part.distinct) for part in parts))
    distinct = {n: np.unique(np.concatenate([p.distinct[n] for p in parts])) for n in unused if n in names}
    return notes_on_unused(unused, distinct, sum(part.labels.size for part in parts))


def _codes(
    labels: np.ndarray,
    predicted: np.ndarray | None,
    roles: Roles,
    columns: Columns,
    classes: Sequence[str] | None,
) -> tuple[tuple[str, ...] | None, np.ndarray, np.ndarray | None]:
    """Classes, and labels and predicted labels as codes of them."""
    known = tuple(classes) if classes is not None else None
    if columns.positive is not None:
        known = positive_pair(columns.positive[1], [str(v) for v in np.unique(labels)], classes)
    elif roles.probabilities or roles.logits:
        # A shadow's columns are put in the order of the target's.
        known = known or tuple(roles.probabilities or roles.logits)
    if known is None:
        codes, guesses, known = codes_without_columns(labels, predicted, columns.label_base)
        return known, codes, guesses
    if not set(labels.tolist()) <= set(known):
        refuse_regression(labels, "labels")
    codes = codes_of_names(labels, known, columns.label_base, "labels")
    if predicted is None:
        return known, codes, None
    return known, codes, codes_of_names(predicted, known, columns.label_base, "predicted labels")


def _outputs(
    numeric: Mapping[str, np.ndarray],
    guesses: np.ndarray | None,
    roles: Roles,
    classes: tuple[str, ...] | None,
    columns: Columns,
    name: str,
) -> list[Output]:
    outputs: list[Output] = []
    for kind, by_class in ((Logits, roles.logits), (Probabilities, roles.probabilities)):
        if by_class and classes is not None:
            outputs.append(kind(ArrayTable(_stacked([numeric[by_class[c]] for c in classes]), name)))
    if columns.positive is not None and classes is not None:
        p = numeric[columns.positive[0]]
        outputs.append(
            Probabilities(ArrayTable(_stacked([p if c == columns.positive[1] else 1 - p for c in classes]), name))
        )
    numbers = ((LOSS, Loss), (PHI, Phi), (GRADIENT_NORM, GradientNorms))
    outputs += [kind(ArrayTable(numeric[c], name)) for c, kind in numbers if c in roles.numbers]
    if guesses is not None:
        outputs.append(PredictedLabels(ArrayTable(guesses, name)))
    return outputs


def _stacked(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Columns as records x classes, in the order of memory in which blocks of rows are cut."""
    table = np.empty((arrays[0].size, len(arrays)), np.result_type(*arrays))
    for i, array in enumerate(arrays):
        table[:, i] = array
    return table


def _joined_order(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """One column from two files; where they disagree on its type, as text."""
    kinds = {array.dtype.kind for array in arrays}
    same = len(kinds) == 1 or kinds <= set("iuf")
    return np.concatenate(arrays if same else [array.astype(np.str_) for array in arrays])


def _joined_inputs(inputs: Sequence[Any]) -> Any:
    if len(inputs) == 1 or inputs[0] is None:
        return inputs[0]
    if all(isinstance(part, np.ndarray) for part in inputs):
        return np.concatenate(inputs)
    import pandas as pd

    names = next(part.columns for part in inputs if not isinstance(part, np.ndarray))
    return pd.concat([pd.DataFrame(part, columns=names) for part in inputs], ignore_index=True)
