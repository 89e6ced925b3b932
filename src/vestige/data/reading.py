"""One door for every format: the content of a file decides how it is read."""

from collections.abc import Sequence

from vestige.core.errors import InputError
from vestige.core.predictions import Predictions
from vestige.data.columns import Columns
from vestige.data.formats import Format, PathLike, file_name, format_of
from vestige.data.npz import read_npz, read_npz_shadow
from vestige.data.tables import read_table


def read_predictions(
    path: PathLike, columns: Columns | None = None, *, classes: Sequence[str] | None = None
) -> tuple[Predictions, Predictions | None]:
    """Read predictions from one file, npz, CSV or Parquet.

    Args:
        path: The file; its content decides the format, not its extension.
        columns: How its columns are named; of an npz only `order` and `label_base` count.
        classes: Class names known from elsewhere.

    Returns:
        The target's predictions, and the shadow's if the file is an npz that holds some.

    Raises:
        InputError: As `read_npz` and `read_table`; or the file is an npy, which has no labels.
    """
    columns = Columns() if columns is None else columns
    if _is_npz(path):
        return read_npz(path, label_base=columns.label_base, order=columns.order, classes=classes)
    return read_table(path, columns, classes=classes), None


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
