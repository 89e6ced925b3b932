"""Damage: to any bytes, and to what stands inside a container whose checksums are then made right again."""

import gzip
import io
import json
import sqlite3
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

_ODD = (0, 255, 127, 128, 0x30, 0x39, 0x2D, 0x22, 0x2C, 0x0A)
_CHARACTERS = b"0123456789.,;-+eE \t\n\"'xNA\xc3\xa9"
_ODD_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 2**31, 2**63, 1e308, 0.5, "", "x", "\x00", "\ud800", [], {}, [[1]], {"a": 1}, "1e999"
)  # fmt: skip


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """One to four damages: bits, bytes, runs of bytes overwritten, left out or doubled, an early end."""
    found = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        at = int(rng.integers(max(1, len(found))))
        kind = int(rng.integers(6))
        if not found:
            return b"x"
        if kind == 0:
            found[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            found[at] = int(rng.choice(_ODD))
        elif kind == 2:
            found[at : at + 4] = rng.bytes(4)
        elif kind == 3:
            del found[at : at + int(rng.integers(1, 40))]
        elif kind == 4:
            del found[at if rng.random() < 0.3 else len(found) - 1 :]
        else:
            found[at:at] = found[max(0, at - 20) : at]
    return bytes(found)


def in_text(content: bytes, rng: np.random.Generator) -> bytes:
    """A few digits, separators or letters replaced by other characters, so that most of it is still a table."""
    found = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(len(found)))
        found[at : at + int(rng.integers(2))] = bytes([int(rng.choice(list(_CHARACTERS)))])
    return bytes(found)


def in_gzip(content: bytes, rng: np.random.Generator) -> bytes:
    return gzip.compress(in_text(gzip.decompress(content), rng), 1, mtime=0)


def in_zip(content: bytes, rng: np.random.Generator) -> bytes:
    """One entry damaged, or renamed, with the checksums that it then has."""
    entries = entries_of(content)
    sizes = np.sqrt([len(entry) + 1 for entry in entries.values()])
    name = str(rng.choice(list(entries), p=sizes / sizes.sum()))
    if rng.random() < 0.05:
        entries[_renamed(name, rng)] = entries.pop(name)
    else:
        entries[name] = damaged(entries[name], rng)
    return zip_of(entries)


def entries_of(content: bytes) -> dict[str, bytes]:
    """The entries of a zip, by name."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zip_of(entries: dict[str, bytes]) -> bytes:
    """A sound zip of entries, with the checksums that they then have."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, entry in entries.items():
            archive.writestr(name, entry)
    return stream.getvalue()


def _renamed(name: str, rng: np.random.Generator) -> str:
    at = int(rng.integers(len(name)))
    return name[:at] + str(rng.choice(["x", "é", "/", "..", ":", " "])) + name[at + 1 :]


def in_npy(content: bytes, rng: np.random.Generator) -> bytes:
    """The numbers of an array, the header as it is; or another type of the same size in the header."""
    start = 10 + int.from_bytes(content[8:10], "little")
    if rng.random() < 0.3:
        types = [b"<f8", b">f8", b"<i8", b"<u8", b"<U2", b"|V8", b"<c8", b"<M8", b"|S8", b"<m8"]
        return content.replace(b"<f8", bytes(rng.choice(types)), 1).replace(b"<i8", bytes(rng.choice(types)), 1)
    data = bytearray(content[start:])
    for _ in range(int(rng.integers(1, 5))):
        at = int(rng.integers(max(1, len(data))))
        data[at : at + 1] = rng.bytes(1)
    return content[:start] + bytes(data)


def in_parquet(content: bytes, rng: np.random.Generator) -> bytes:
    """A column of other values or another type, written anew."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(content))
    at = int(rng.integers(table.num_columns))
    table = table.set_column(at, table.column_names[at], _odd_column(table.column(at), rng))
    if rng.random() < 0.1:
        table = table.rename_columns([name if i != at else "other" for i, name in enumerate(table.column_names)])
    stream = io.BytesIO()
    try:
        pq.write_table(table, stream)
    except pa.ArrowException:  # a type that Parquet does not have
        return damaged(content, rng)
    return stream.getvalue()


def _odd_column(column: Any, rng: np.random.Generator) -> Any:
    import pyarrow as pa

    n, values = len(column), column.to_pylist()
    kind, at = int(rng.integers(10)), int(rng.integers(len(column)))
    if kind == 0:
        return pa.array([None if i == at else v for i, v in enumerate(values)], column.type)
    if kind == 1:  # text that is not UTF-8
        return pa.Array.from_buffers(pa.string(), n, pa.array([rng.bytes(3) for _ in range(n)], pa.binary()).buffers())
    if kind == 2:
        return pa.array([[1.0]] * n)
    if kind == 3:
        return pa.array([{"a": 1}] * n)
    if kind == 4:
        return pa.array(rng.integers(-(2**62), 2**62, n))
    if kind == 5:
        return pa.array(np.array([np.nan, np.inf, -np.inf, -0.0, 1e308])[rng.integers(5, size=n)])
    if kind == 6:
        return pa.array([rng.bytes(4) for _ in range(n)])
    if kind == 7:
        return pa.array(rng.integers(0, 10**6, n), pa.timestamp("us"))
    if kind == 8:
        return pa.array([str(v) for v in values]).dictionary_encode()
    return pa.nulls(n)


def in_json(content: bytes, rng: np.random.Generator) -> bytes:
    """One value of a JSON document replaced, or a key left out."""
    document = json.loads(content)
    places: list[tuple[Any, Any]] = []
    pending = [document]
    while pending:
        value = pending.pop()
        keys = list(value) if isinstance(value, dict) else range(len(value))
        places += [(value, key) for key in keys]
        pending += [value[key] for key in keys if isinstance(value[key], dict | list)]
    for _ in range(int(rng.integers(1, 3)) if places else 0):
        parent, key = places[int(rng.integers(len(places)))]
        odd = _ODD_VALUES[int(rng.integers(len(_ODD_VALUES)))]
        if isinstance(parent, dict) and rng.random() < 0.3:
            parent.pop(key, None)
        elif isinstance(parent, dict) or key < len(parent):
            here = parent.get(key) if isinstance(parent, dict) else parent[key]
            is_number = isinstance(here, int | float) and rng.random() < 0.7
            parent[key] = int(rng.integers(-3, 100)) if is_number else odd
    return json.dumps(document).encode()


def in_tar(content: bytes, rng: np.random.Generator) -> bytes:
    """One file of a gzipped tar damaged."""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        files = {entry.name: archive.extractfile(entry).read() for entry in archive if entry.isfile()}  # type: ignore[union-attr]
    name = str(rng.choice(list(files)))
    files[name] = damaged(files[name], rng)
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=1) as archive:
        for key, data in files.items():
            entry = tarfile.TarInfo(key)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return stream.getvalue()


def in_sqlite(path: Path, rng: np.random.Generator) -> None:
    """One value of a row of a ledger replaced, by SQL."""
    with sqlite3.connect(path) as db:
        table, column = [("about", "value"), ("queries", "sent"), ("queries", "kept"), ("queries", "failed"),
                         ("queries", "inputs"), ("queries", "answers")][int(rng.integers(6))]  # fmt: skip
        (value,) = db.execute(f"SELECT {column} FROM {table} ORDER BY random() LIMIT 1").fetchone()
        odd = damaged(value, rng) if isinstance(value, bytes) else rng.choice(["x", "-1", "2.5", ""])
        db.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = 1", (odd if isinstance(odd, bytes) else str(odd),))
    db.close()
