"""One npy file per array: the outputs are streamed, the labels and the membership are loaded."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from vestige.core.blocks import ArrayTable, BlockTable
from vestige.core.outputs import Logits, Probabilities
from vestige.core.predictions import Predictions
from vestige.data.formats.arrays import ByteStream, NpyStream, check_size, load_array, read_header
from vestige.data.formats.classes import codes_of_array
from vestige.data.formats.files import Format, PathLike, expect_format, file_name, named, readable


def read_npy(
    path: PathLike,
    labels: PathLike,
    member: PathLike,
    *,
    probabilities: bool = False,
    label_base: int = 0,
    ids: PathLike | None = None,
    subjects: PathLike | None = None,
) -> Predictions:
    """Read predictions from npy files: one of the outputs, one of the labels, one of the membership.

    The outputs stay in their file and are read in blocks when needed.

    Args:
        path: Outputs, records x classes: logits, unless `probabilities` is set.
        labels: True class of each record.
        member: 1 where the model was trained on the record, 0 where it was not.
        probabilities: The outputs are probabilities.
        label_base: What the labels count from, 0 or 1.
        ids: One unique id per record.
        subjects: Whose record it is.

    Returns:
        The predictions.

    Raises:
        InputError: A file is missing, truncated, of another format or holds objects, or what is in it cannot be
            predictions.
    """
    name = file_name(path)
    kind = Probabilities if probabilities else Logits
    with named(name):
        return Predictions(
            kind(_open_table(path)),
            labels=codes_of_array(_load(labels), None, label_base, "labels"),
            member=_load(member),
            ids=None if ids is None else _load(ids),
            subjects=None if subjects is None else _load(subjects),
        )


@contextmanager
def _opened(path: Path) -> Iterator[ByteStream]:
    # Unbuffered: a block is read straight into its array.
    with readable(path), path.open("rb", buffering=0) as stream:
        yield stream


def _open_table(path: PathLike) -> BlockTable:
    expect_format(path, Format.NPY)
    path, name = Path(path), file_name(path)
    open_stream = partial(_opened, path)
    with open_stream() as stream:
        header = read_header(stream, name)
        check_size(header, path.stat().st_size, name)
    if header.fortran_order:  # rows are scattered over the file
        return ArrayTable(_load(path), name)
    return NpyStream(name, open_stream, header)


def _load(path: PathLike) -> np.ndarray:
    expect_format(path, Format.NPY)
    path, name = Path(path), file_name(path)
    with readable(path), path.open("rb") as stream:
        check_size(read_header(stream, name), path.stat().st_size, name)
        stream.seek(0)
        return load_array(stream, name)
