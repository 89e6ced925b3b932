import csv
import gzip
import io
import tarfile

import numpy as np
import pytest
from tests.data.published import cut, foldered, real, tarred, zipped
from tests.data.refusals import refused

from vestige.data.sets import published_sets
from vestige.data.sets.published_sets import read_location30, read_purchase100, read_texas100

READERS = {"location30": (read_location30, 446, 30), "purchase100": (read_purchase100, 600, 100)}


def bits(n, width, seed=0):
    return np.random.default_rng(seed).integers(0, 2, (n, width), dtype=np.uint8)


def labels(n, n_classes, seed=1):
    return np.random.default_rng(seed).integers(1, n_classes + 1, n)


def table(rows, first=None, quote='"'):
    """Text by plain code."""
    starts = ["" if first is None else f"{quote}{label}{quote}," for label in (first if first is not None else rows)]
    return "".join(s + ",".join(str(b) for b in row) + "\n" for s, row in zip(starts, rows, strict=True)).encode()


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("quote", ['"', ""])
def test_labelled_bits_from_an_archive_and_a_plain_file(tmp_path, name, quote):
    read, width, n_classes = READERS[name]
    x, y = bits(40, width), labels(40, n_classes)
    text = table(x, y, quote)
    (tmp_path / "bangkok").write_bytes(text)
    (tmp_path / "windows.txt").write_bytes(text.replace(b"\n", b"\r\n"))
    (tmp_path / "open.txt").write_bytes(b"\n" + text[:-1])
    sources = [tarred(tmp_path / "a.tgz", {"x/bangkok": text}), zipped(tmp_path / "a.zip", {"bangkok": text})]
    sources += [foldered(tmp_path / "folder", {"bangkok": text}), tmp_path / "bangkok", tmp_path / "windows.txt"]
    for source in [*sources, tmp_path / "open.txt"]:
        records = read(source)
        np.testing.assert_array_equal(records.inputs, x)
        assert records.inputs.dtype == np.uint8
        np.testing.assert_array_equal(records.labels, y - 1)
        assert records.classes == tuple(str(i) for i in range(1, n_classes + 1))
        assert records.ids.tolist() == list(range(40))
        assert "are here" in records.notes[0]


def test_blocks_of_any_size_give_the_same(tmp_path, monkeypatch):
    x, y = bits(23, 446), labels(23, 30)
    (tmp_path / "bangkok").write_bytes(table(x, y).replace(b"\n", b"\r\n"))
    for n_read in (1, 7, 892, 893, 900, 5_000):
        monkeypatch.setattr(published_sets, "_N_READ", n_read)
        records = read_location30(tmp_path / "bangkok")
        np.testing.assert_array_equal(records.inputs, x)
        np.testing.assert_array_equal(records.labels, y - 1)


def test_more_records_than_were_published(tmp_path):
    x, y = bits(5_010 + 7, 446), labels(5_010 + 7, 30)
    (tmp_path / "bangkok").write_bytes(table(x, y))
    records = read_location30(tmp_path / "bangkok")
    np.testing.assert_array_equal(records.inputs, x)
    assert records.notes == ("bangkok: 5,010 records were published, 5,017 are here.",)


def test_texas_from_an_archive_and_a_folder(tmp_path):
    x, y = bits(12, 6_169), labels(12, 100)
    files = {"texas/100/feats": table(x), "texas/100/labels": "".join(f"{i}\n" for i in y).encode()}
    text = {"feats.txt": files["texas/100/feats"], "labels.txt.gz": gzip.compress(files["texas/100/labels"])}
    sources = [tarred(tmp_path / "t.tgz", files), zipped(tmp_path / "t.zip", files)]
    sources += [foldered(tmp_path / "folder", files), foldered(tmp_path / "text", text)]
    for source in sources:
        records = read_texas100(source)
        np.testing.assert_array_equal(records.inputs, x)
        np.testing.assert_array_equal(records.labels, y - 1)
        assert records.n_classes == 100
        assert records.notes == (f"{source.name}: 67,330 records were published, 12 are here.",)


def broken(tmp_path, change, n=5):
    rows = table(bits(n, 446), labels(n, 30)).splitlines()
    change(rows)
    path = tmp_path / "bangkok"
    path.write_bytes(b"\n".join(rows) + b"\n")
    return lambda: read_location30(path)


def changed(row, text):
    def change(rows):
        rows[row] = text(rows[row])

    return change


@pytest.mark.parametrize(
    ("text", "essentials"),
    [
        (lambda r: r[:-2], ["Expected 447 fields, a label and 446 bits, found 446 in row 3", "truncated"]),
        (lambda r: r + b",1", ["found 448 in row 3"]),
        (lambda r: b"hello", ["found 1 in row 3"]),
        (lambda r: r.split(b",", 1)[1], ["found 446 in row 3"]),
        (lambda r: r[:-1] + b"2", ["Expected 0 or 1, found '2' in row 3, field 447"]),
        (lambda r: r[:-3] + b"a" + r[-2:], ["found 'a' in row 3, field 446"]),
        (lambda r: r[:-4] + b";" + r[-3:], ["found 446 in row 3"]),
        (lambda r: b'"x"' + r[r.index(b",") :], ["a label that is a number in row 3, found 'x'"]),
        (lambda r: b'"31"' + r[r.index(b",") :], ["labels among the classes", "found 31 in row 3"]),
        (lambda r: b'"0"' + r[r.index(b",") :], ["found 0 in row 3"]),
        (lambda r: b"1,0.5" + r[r.index(b",") + 2 :], ["found '0.5' in row 3, field 2"]),
    ],
)
def test_a_row_of_another_form_is_named(tmp_path, text, essentials):
    refused(broken(tmp_path, changed(2, text)), "bangkok: Expected", *essentials)


def test_rows_are_counted_across_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(published_sets, "_N_READ", 2_000)
    refused(broken(tmp_path, changed(17, lambda r: r[:-1] + b"7"), n=20), "found '7' in row 18")
    refused(broken(tmp_path, changed(18, lambda r: b"q" + r[r.index(b",") :]), n=20), "in row 19, found 'q'")


def test_truncated_and_missing_files(tmp_path):
    text = table(bits(50, 446), labels(50, 30))
    refused(lambda: read_location30(cut(tarred(tmp_path / "l.tgz", {"bangkok": text}), 30)), "l.tgz", "truncated")
    path = tmp_path / "bangkok"
    path.write_bytes(text[:-301])
    refused(lambda: read_location30(path), "in row 50: the file is truncated")
    path.write_bytes(b"")
    refused(lambda: read_location30(path), "bangkok: Expected at least one record, found none")
    refused(lambda: read_location30(tmp_path / "no.tgz"), "no.tgz", "found none there")
    refused(lambda: read_location30(tarred(path, {"._a": text})), "bangkok: Expected one file, found none")
    refused(lambda: read_location30(tarred(path, {"a": text, "b": text})), "Expected one file, found a, b")
    refused(lambda: read_purchase100(tarred(path, {"a": text})), "bangkok[a]: Expected 601 fields", "found 447")


def test_texas_with_a_file_missing_or_too_short(tmp_path):
    files = {"feats": table(bits(3, 6_169)), "labels": b"1\n2\n3\n"}
    refused(lambda: read_texas100(foldered(tmp_path / "a", {"feats": files["feats"]})), "a: Expected", "no labels;")
    short = files | {"labels": b"1\n2\n"}
    refused(lambda: read_texas100(tarred(tmp_path / "t.tgz", short)), "t.tgz", "each of the 3 rows of feats, found 2")
    wide = files | {"feats": table(bits(3, 6_170))}
    refused(lambda: read_texas100(tarred(tmp_path / "t.tgz", wide)), "t.tgz[feats]", "6,169 fields, bits, found 6,170")
    high = files | {"labels": b"1\n2\n101\n"}
    refused(lambda: read_texas100(tarred(tmp_path / "t.tgz", high)), "t.tgz", "found 101 in row 3")
    text = files | {"labels": b"1\ntwo\n3\n"}
    refused(lambda: read_texas100(tarred(tmp_path / "t.tgz", text)), "t.tgz[labels]", "row 2, found 'two'")


def test_location():
    path = real("location30") / "dataset_location.tgz"
    records = read_location30(path)
    with tarfile.open(path) as archive:
        content = archive.extractfile("bangkok")
        assert content is not None
        rows = list(csv.reader(io.TextIOWrapper(content)))
    expected = np.array(rows, dtype=np.int64)
    assert expected.shape == (5_010, 447)
    np.testing.assert_array_equal(records.inputs, expected[:, 1:])
    np.testing.assert_array_equal(records.labels, expected[:, 0] - 1)
    assert records.n_classes == 30
    assert records.notes == ()
