import gzip
import os
import pickle
from pathlib import Path

import pytest
from tests.data.refusals import refused

from vestige.data import Columns, read_predictions, read_table, read_two_tables
from vestige.data.formats.files import Format, format_of


@pytest.mark.parametrize(
    ("content", "essentials"),
    [
        (b"", ("empty file", "save it again")),
        (pickle.dumps([1, 2]), ("a pickle", "pickles are never loaded", "npz or CSV")),
        (b"\x89HDF\r\n\x1a\n", ("HDF5",)),
        (b"ARROW1\x00\x00", ("Feather", "Parquet")),
        (b"SQLite format 3\x00", ("SQLite",)),
        (b"MATLAB 5.0 MAT-file", ("MATLAB",)),
        (b"RDX3\nX\n", ("R's own", "write.csv")),
        (gzip.compress(b"X\n\x00\x00\x00\x03", mtime=0), ("R's own", "row.names = FALSE")),
        (gzip.compress(pickle.dumps([1]), mtime=0), ("a pickle", "never loaded")),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", ("Excel", "CSV")),
        (b"%PDF-1.7", ("PDF",)),
        ("label;member".encode("utf-16"), ("UTF-16", "UTF-8")),
        (b"BZh91AY", ("bzip2", "unpack")),
        (b"\xfd7zXZ\x00", ("xz", "unpack")),
        (b"\x28\xb5\x2f\xfd", ("zstd", "unpack")),
        (b"x\x9cabc", ("joblib", "never loaded")),
        (b'{"label": {"0": 1}, "member": 1', ("JSON lines", "lines=True")),
        (b"[1, 2]", ("JSON", "lines=True")),
        (b'{"learner": {}}', ("XGBoost", "--model")),
        (b"tree\nversion=v4\n", ("LightGBM", "--model")),
        (b"\x08\x07\x12\x00onnx", ("binary data", "--model")),
        (b"abc\x00\x01", ("binary data",)),
        (gzip.compress(b"label,member\n" * 50, mtime=0)[:30], ("truncated or damaged", "gzip")),
        (b"\x1f\x8bnothing", ("truncated or damaged", "gzip")),
        (b"PK\x03\x04 and no more", ("truncated or damaged",)),
        (b"PAR1 and no more", ("Parquet", "truncated or damaged")),
    ],
)
def test_other_formats_are_named(tmp_path, content, essentials):
    path = tmp_path / "scores.csv"
    path.write_bytes(content)
    refused(lambda: read_predictions(path), "scores.csv: Expected", *essentials)


def test_no_such_file(tmp_path):
    refused(lambda: read_predictions(tmp_path / "a" / "b.csv"), "b.csv: Expected a file, found none", "spelling")
    (tmp_path / "file").write_text("x")
    refused(lambda: read_predictions(tmp_path / "file" / "b.csv"), "b.csv: Expected a file, found none")
    refused(lambda: read_predictions(tmp_path), "found a folder")


def test_a_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    refused(lambda: read_predictions(tmp_path / "pipe"), "pipe: ", "save it to a file first")


def test_no_permission(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    path.write_text("label,member,loss\n")

    def closed(*args, **kwargs):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", closed)  # tests may run as root, for whom every file is open
    refused(lambda: read_predictions(path), "a.csv: ", "no permission", "chmod")


def test_a_failing_disk(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    path.write_text("label,member,loss\n")

    def failing(*args, **kwargs):
        raise OSError(5, "Input/output error", str(path))

    monkeypatch.setattr(Path, "open", failing)
    refused(lambda: read_predictions(path), "a.csv: ", "Input/output error")


def test_text_is_the_rest(tmp_path):
    (tmp_path / "a.parquet").write_text("label,member\n")
    assert format_of(tmp_path / "a.parquet") is Format.CSV
    (tmp_path / "b.csv").write_bytes(gzip.compress(b"label,member\n"))
    assert format_of(tmp_path / "b.csv") is Format.CSV_GZIP


def test_tables_only(tmp_path):
    import numpy as np

    np.savez(tmp_path / "a.npz", labels=[1])
    essentials = (
        "a.npz: Expected a text table or a gzipped text table or a Parquet file or JSON lines, found an npz file",
    )
    refused(lambda: read_table(tmp_path / "a.npz", Columns()), *essentials)
    refused(lambda: read_two_tables(tmp_path / "a.npz", tmp_path / "a.npz", Columns()), *essentials)
