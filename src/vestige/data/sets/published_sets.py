"""Location30, Purchase100 and Texas100: tables of bits, as their authors publish them.

The text is never split into numbers: a row's bits stand at every second place before its end, so many rows are read as
one array. Whatever is not of that form is refused with its row and field.
"""

import numpy as np

from vestige.core.errors import InputError
from vestige.core.messages import brief, few
from vestige.core.records import Records
from vestige.data.formats.files import Member, PathLike, file_name, named, read_files
from vestige.data.sets.named import SETS, NamedSet

_N_READ = 1 << 22  # bytes of text held at once


def read_location30(source: PathLike) -> Records:
    """Read Location30: a label 1..30 in quotes, then 446 bits.

    Args:
        source: `dataset_location.tgz`, the file in it, or a folder with that file alone.

    Returns:
        Records with uint8 inputs of 0 and 1, classes `1` to `30` and row numbers, from 0, as ids. A note says so if
        there are fewer or more records than were published.

    Raises:
        InputError: The file is missing, truncated or damaged, or a row is not of this form.
    """
    return _labelled(source, SETS["location30"])


def read_purchase100(source: PathLike) -> Records:
    """Read Purchase100: a label 1..100, then 600 bits.

    Args:
        source: `dataset_purchase.tgz`, the file in it, or a folder with that file alone.

    Returns:
        As `read_location30`, with classes `1` to `100`.

    Raises:
        InputError: The file is missing, truncated or damaged, or a row is not of this form.
    """
    return _labelled(source, SETS["purchase100"])


def read_texas100(source: PathLike) -> Records:
    """Read Texas100: a file `feats` of 6,169 bits per row, and a file `labels` with 1..100.

    Args:
        source: `dataset_texas.tgz`, or a zip or folder with both files.

    Returns:
        As `read_location30`, with classes `1` to `100`.

    Raises:
        InputError: A file is missing, truncated or damaged, a row is not of this form, or the files differ in length.
    """
    files = read_files(source, lambda name: name.removesuffix(".txt") in ("feats", "labels"), _texas_file)
    tables = {name.removesuffix(".txt"): values for name, values in files.items()}
    missing = [name for name in ("feats", "labels") if name not in tables]
    if missing:
        raise InputError(
            f"{file_name(source)}: Expected the files feats and labels, found no {few(missing)}; give the published "
            "archive, or the folder with both."
        )
    bits, labels = tables["feats"], tables["labels"]
    if len(bits) != len(labels):
        raise InputError(
            f"{file_name(source)}: Expected a label for each of the {len(bits):,} rows of feats, found "
            f"{len(labels):,}; download both again."
        )
    return _records(bits, labels, SETS["texas100"], file_name(source))


def _labelled(source: PathLike, known: NamedSet) -> Records:
    tables = read_files(source, lambda _: True, lambda member: _read_bits(member, known, labelled=True))
    if len(tables) != 1:
        raise InputError(
            f"{file_name(source)}: Expected one file, found {few(list(tables)) or 'none'}; give the published archive "
            "or the file in it."
        )
    ((bits, labels),) = tables.values()
    return _records(bits, labels, known, file_name(source))


def _texas_file(member: Member) -> np.ndarray:
    if member.name.startswith("feats"):
        return _read_bits(member, SETS["texas100"], labelled=False)[0]
    rows = member.stream.read().split()
    return np.array([_label(row, member.where, i) for i, row in enumerate(rows, 1)], dtype=np.int64)


def _records(bits: np.ndarray, labels: np.ndarray, known: NamedSet, name: str) -> Records:
    n = len(bits)
    notes = (f"{name}: {known.n_records:,} records were published, {n:,} are here.",) if n != known.n_records else ()
    with named(name):
        return Records(bits, labels, ids=np.arange(n), classes=range(1, known.n_classes + 1), notes=notes)


def _read_bits(member: Member, known: NamedSet, *, labelled: bool) -> tuple[np.ndarray, np.ndarray]:
    """Bits and labels of a table; memory is that of the published one, touched as rows come."""
    n_bits = known.shape[0]
    bits = np.empty((known.n_records, n_bits), np.uint8)
    labels: list[int] = []
    width, n = 2 * n_bits - 1, 0
    while lines := member.stream.readlines(_N_READ):
        rows = [row for line in lines if (row := line.rstrip(b"\r\n"))]
        heads, texts = [row[:-width] for row in rows], [row[-width:] for row in rows]
        # Before the bits stands one field, the label, or nothing; else the line has too many fields.
        good = np.array([head.find(b",") == len(head) - 1 >= 0 if labelled else not head for head in heads], dtype=bool)
        good &= np.array([len(text) == width for text in texts], dtype=bool)
        if good.all():
            characters = np.frombuffer(b"".join(texts), np.uint8).reshape(-1, width)
            digits = characters[:, ::2] - np.uint8(ord("0"))  # whatever is no digit wraps to more than 1
            good = (digits <= 1).all(axis=1) & (characters[:, 1::2] == ord(",")).all(axis=1)
        if not good.all():
            i = int(np.argmin(good))
            raise _odd_line(member.where, rows[i].split(b","), n + i + 1, n_bits, labelled)
        if labelled:
            labels += [_label(head[:-1], member.where, i) for i, head in enumerate(heads, n + 1)]
        while n + len(digits) > len(bits):
            bits = np.concatenate([bits, np.empty_like(bits)])
        bits[n : n + len(digits)] = digits
        n += len(digits)
    return bits[:n], np.array(labels, dtype=np.int64)


def _odd_line(where: str, fields: list[bytes], row: int, n_bits: int, labelled: bool) -> InputError:
    expected = n_bits + labelled
    if len(fields) != expected:
        form = f"a label and {n_bits:,} bits" if labelled else "bits"
        return InputError(
            f"{where}: Expected {expected:,} fields, {form}, found {len(fields):,} in row {row:,}: the file is "
            "truncated or of another kind; download it again."
        )
    column = next((i for i, bit in enumerate(fields) if i >= labelled and bit not in (b"0", b"1")), 0)
    return InputError(
        f"{where}: Expected 0 or 1, found {brief(fields[column].decode('latin-1'))!r} in row {row:,}, field "
        f"{column + 1:,}; give the published file."
    )


def _label(cell: bytes, where: str, row: int) -> int:
    plain = cell.strip(b' "')
    if not plain.isdigit():
        raise InputError(
            f"{where}: Expected a label that is a number in row {row:,}, found {brief(plain.decode('latin-1'))!r}; "
            "give the published file."
        )
    return int(plain)
