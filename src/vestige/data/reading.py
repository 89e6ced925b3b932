"""One door for every format: the content of a file decides how it is read."""

from collections.abc import Callable, Sequence
from typing import Any

from vestige.core.errors import InputError
from vestige.core.predictions import Predictions
from vestige.data.columns import Columns
from vestige.data.formats import Format, PathLike, file_name, format_of
from vestige.data.npz import read_npz, read_npz_shadow
from vestige.data.tables import read_table


def read_predictions(
    path: PathLike,
    columns: Columns | None = None,
    *,
    classes: Sequence[str] | None = None,
    members: Callable[[], Sequence[Any]] | None = None,
) -> tuple[Predictions, Predictions | None]:
    """Read predictions from one file, npz, CSV or Parquet.

    Args:
        path: The file; its content decides the format, not its extension.
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
    return read_table(path, columns, classes=classes, members=members), None


def refuse_columns(columns: Columns, where: str, names: str) -> None:
    """Refuse column names where there are no columns: ignored, they would change what is counted unseen.

    Raises:
        InputError: A column is named that only a table could have.
    """
    plain = Columns(order=columns.order, label_base=columns.label_base)
    options = {"label": "--label", "member": "--member", "id": "data.id", "subject": "--subject", "groups": "--group"}
    options |= {"inputs": "data.inputs", "positive": "--positive"}
    for name, option in options.items():
        if getattr(columns, name) != getattr(plain, name):
            raise InputError(
                f"{where}Expected {option} beside a table only, found it beside arrays; name the arrays themselves "
                f"{names}."
            )


def read_shadow(path: PathLike, columns: Columns | None = None, *, classes: Sequence[str] | None = None) -> Predictions:
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


def _is_npz(path: PathLike) -> bool:
    found = format_of(path)
    if found is Format.NPY:
        raise InputError(
            f"{file_name(path)}: Expected labels and membership beside the outputs, found one array; give them as "
            "files of their own with --labels LABELS.npy --member MEMBER.npy."
        )
    return found is Format.NPZ
