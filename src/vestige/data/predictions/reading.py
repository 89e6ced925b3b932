"""Predictions in one file of any format, or in tables: with a member column, or of members and of nonmembers.

The content of a file decides how it is read.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeGuard, cast

import numpy as np

from vestige.core.blocks import ArrayTable
from vestige.core.errors import InputError
from vestige.core.ids import id_texts
from vestige.core.messages import few
from vestige.core.outputs import PredictedLabels
from vestige.core.predictions import Predictions
from vestige.data.formats.arrays import NpzFile
from vestige.data.formats.classes import codes_of_names, codes_without_columns, refuse_regression
from vestige.data.formats.files import Format, PathLike, TableSource, file_name, format_of, named, same_table
from vestige.data.predictions.arrays import read_npz, read_npz_shadow, read_two_sides
from vestige.data.predictions.columns import LISTS, NUMBERS, PREDICTED, Columns, Roles, assign_roles, positive_pair
from vestige.data.predictions.membership import check_side, members_of
from vestige.data.predictions.scores import read_scores

if TYPE_CHECKING:
    from vestige.data.formats.table import Table


def read_predictions(
    path: TableSource,
    columns: Columns | None = None,
    *,
    classes: Sequence[str] | None = None,
    members: Callable[[], Sequence[Any]] | None = None,
) -> tuple[Predictions, Predictions | None]:
    """Read predictions from one file, npz, CSV, Parquet or JSON lines; or from a frame, as from a file.

    Args:
        path: The file; its content decides the format, not its extension. Or a frame of pandas, polars or Arrow.
        columns: How its columns are named; an npz has names of its own, but for `order` and `label_base`.
        classes: Class names known from elsewhere.
        members: As in `read_table`; an npz says itself who is a member.

    Returns:
        The target's predictions, and the shadow's if the file is an npz that holds some.

    Raises:
        InputError: As `read_npz` and `read_table`; or the file is an npy, which has no labels.
    """
    columns = Columns() if columns is None else columns
    if _is_npz(path):
        refuse_columns(columns, f"{file_name(path)}: ", "labels, member, ids, subjects, groups and inputs")
        return read_npz(path, label_base=columns.label_base, order=columns.order, classes=classes)
    if (of_scores := read_scores(path, columns)) is not None:
        return of_scores[0], None
    return read_table(path, columns, classes=classes, members=members), None


def refuse_columns(columns: Columns, where: str, names: str) -> None:
    """Refuse column names where there are no columns: ignored, they would change what is counted unseen.

    Raises:
        InputError: A column is named that only a table could have.
    """
    plain = Columns(order=columns.order, label_base=columns.label_base).wanted(member=True)
    for how, said in columns.wanted(member=True).items():
        if said != plain[how]:
            raise InputError(
                f"{where}Expected {how.removeprefix('with ')} beside a table only, found it beside arrays; name the "
                f"arrays themselves {names}."
            )


def read_shadow(
    path: TableSource, columns: Columns | None = None, *, classes: Sequence[str] | None = None
) -> Predictions:
    """Read a shadow model's predictions from a file of its own.

    Args:
        path: npz, CSV or Parquet. Of an npz, what has the prefix `shadow_` if there is such, else all of it.
        columns: How its columns are named.
        classes: The target's class names (`Predictions.classes`): the shadow's columns are put in their order.

    Returns:
        The shadow's predictions.

    Raises:
        InputError: As `read_predictions`, or the shadow's classes are not the target's.
    """
    columns = Columns() if columns is None else columns
    if _is_npz(path):
        return read_npz_shadow(path, label_base=columns.label_base, classes=classes)
    return read_table(path, columns, classes=classes)


def _is_npz(path: TableSource) -> TypeGuard[PathLike]:
    format_ = format_of(path)
    if format_ is Format.NPY:
        raise InputError(
            f"{file_name(path)}: Expected labels and membership beside the outputs, found one array; give them as "
            "files of their own with --labels LABELS.npy --member MEMBER.npy."
        )
    return format_ is Format.NPZ


def read_table(
    path: TableSource,
    columns: Columns | None = None,
    *,
    classes: Sequence[str] | None = None,
    members: Callable[[], Sequence[Any]] | None = None,
) -> Predictions:
    """Read predictions from a table with a member column, or with ids where it is known who is a member.

    The outputs are the columns `prob_<class>` or `logit_<class>`; else columns named exactly as the labels that
    occur; and or `loss`, `phi`, `predicted`. Labels are matched with these columns by name.

    Args:
        path: CSV (comma, semicolon or tab; plain or gzipped; UTF-8), Parquet or JSON lines, or a frame. Columns
            `logits`, and `probs` or `predictions`, may hold a list per record, a number per class.
        columns: How its columns are named.
        classes: Class names known from elsewhere, such as the target's for a shadow model.
        members: Gives the ids of all members; asked only if there is no member column.

    Returns:
        The predictions.

    Raises:
        InputError: The file is damaged or of another format, lacks a column or an entry, or what is in it cannot
            be predictions.
    """
    return _read([path], Columns() if columns is None else columns, classes, members)


def read_two_tables(
    members: TableSource,
    nonmembers: TableSource,
    columns: Columns | None = None,
    *,
    classes: Sequence[str] | None = None,
) -> Predictions:
    """Read predictions from a table of members and a table of nonmembers; neither needs a member column.

    Args:
        members: Records the model was trained on: a table as for `read_table`, or an npz without `member`.
        nonmembers: Records it was not trained on, with the same columns.
        columns: How the columns are named.
        classes: Class names known from elsewhere, such as the target's for a shadow model.

    Returns:
        The predictions, members first.

    Raises:
        InputError: As `read_table`; or a column is in one file only, or a member column contradicts the file.
    """
    columns = Columns() if columns is None else columns
    if {format_of(members), format_of(nonmembers)} == {Format.NPZ} and not same_table(members, nonmembers):
        refuse_columns(columns, f"{file_name(members)}: ", "labels, ids, subjects, groups and inputs")
        files = [NpzFile(cast(PathLike, path)) for path in (members, nonmembers)]
        return read_two_sides(files, label_base=columns.label_base, order=columns.order, classes=classes)
    return _read([members, nonmembers], columns, classes, None)


def _read(
    paths: Sequence[TableSource],
    columns: Columns,
    classes: Sequence[str] | None,
    members: Callable[[], Sequence[Any]] | None,
) -> Predictions:
    from vestige.data.formats.table import Table, open_tables, require_columns

    files = open_tables(paths, columns.label, LISTS)
    is_one = len(files) == 1
    if not is_one and same_table(*paths):
        raise InputError(f"{files[0].name}: Expected two files, found the same as members and as nonmembers.")
    by_id = members if is_one and columns.member not in files[0].names else None
    if by_id is not None:
        columns = replace(columns, id=columns.id or "id")
    for file in files:
        require_columns(file, columns.wanted(member=is_one and by_id is None))
    names = list(dict.fromkeys(name for file in files for name in file.names))

    def label_values() -> list[str]:
        return [str(label) for label in np.unique(Table(files, [], [columns.label]).texts(columns.label))]

    with named(" and ".join(file.name for file in files)):
        roles = assign_roles(names, columns, label_values=label_values, classes=classes)
    for file, other in zip(files, reversed(files), strict=True):
        missing = [n for n in (*roles.text, *roles.numeric) if n not in file.names and n != columns.member]
        if missing:
            raise InputError(
                f"{file.name}: Expected the columns of {other.name}, found {few(missing)} missing; "
                "write both files with the same columns."
            )
    table = Table(files, roles.numeric, roles.text)
    if by_id is not None:
        is_member = np.isin(id_texts(table.texts(str(columns.id))), id_texts(list(by_id())))
        return _predictions(table, roles, classes, is_member)
    if is_one:
        return _predictions(table, roles, classes, *members_of(table, columns.member))
    for file, side in zip(files, (True, False), strict=True):
        if columns.member in file.names:
            check_side(Table([file], [], [columns.member]), columns.member, side)
    return _predictions(table, roles, classes, np.repeat([True, False], table.sizes))


class _Stacked:
    """Columns as one array of records x columns that is never held."""

    def __init__(self, columns: Sequence[np.ndarray], name: str) -> None:
        self.name, self._columns = name, columns
        self.shape: tuple[int, ...] = (len(columns[0]), len(columns))
        self.dtype = np.result_type(*columns)

    def blocks(self, n_rows: int) -> Iterator[np.ndarray]:
        """Yield consecutive blocks of at most `n_rows` rows."""
        for start in range(0, self.shape[0], n_rows):
            yield np.stack([column[start : start + n_rows] for column in self._columns], axis=1)


def _predictions(
    table: "Table", roles: Roles, classes: Sequence[str] | None, member: np.ndarray, said: Sequence[str] = ()
) -> Predictions:
    columns = roles.columns
    labels = table.texts(columns.label)
    predicted = table.texts(PREDICTED) if PREDICTED in roles.text else None
    numeric = {name: table.numbers(name) for name in roles.numeric}
    about = table.about(columns)
    about["inputs"] = table.values(columns.inputs) if columns.inputs else None
    about["notes"] = (*said, *table.notes({*roles.text, *roles.numeric, columns.member}))
    with named(table.name):
        # A shadow's columns are put in the order of the target's.
        known = tuple(classes or next(iter(roles.by_class.values()), ())) or None
        if columns.positive is not None:
            known = positive_pair(columns.positive[1], np.unique(labels).tolist(), classes)
        if known is None:
            codes, guesses, known = codes_without_columns(labels, predicted, columns.label_base)
        else:
            if not set(labels.tolist()) <= set(known):
                refuse_regression(labels, "labels")
            codes = codes_of_names(labels, known, columns.label_base, "labels")
            guesses = predicted
            if predicted is not None:
                guesses = codes_of_names(predicted, known, columns.label_base, "predicted labels")
        outputs: list[Any] = []
        for kind, of_class in roles.by_class.items():
            arrays = {name: numeric[column] for name, column in of_class.items()}
            stacked = [arrays[c] if c in arrays else 1 - next(iter(arrays.values())) for c in known or ()]
            outputs.append(kind(_Stacked(stacked, table.name)))
        outputs += [kind(ArrayTable(numeric[c], table.name)) for c, kind in NUMBERS.items() if c in numeric]
        if guesses is not None:
            outputs.append(PredictedLabels(ArrayTable(guesses, table.name)))
        return Predictions(tuple(outputs), labels=codes, member=member, classes=known, **about)
