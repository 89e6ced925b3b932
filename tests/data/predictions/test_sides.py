"""Members and nonmembers in arrays of their own, and columns that say with words which is which."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.data.refusals import refused

from vestige.core.outputs import Logits
from vestige.data import Columns, read_predictions, read_table, read_two_records, read_two_tables
from vestige.data.formats.arrays import NpyFiles, NpzFile, TwoSides
from vestige.data.predictions.arrays import read_two_npy
from vestige.data.records.reading import read_alike

A, B = np.arange(15.0).reshape(5, 3), np.arange(21.0).reshape(7, 3) + 100
YA, YB = np.array([0, 1, 2, 0, 1]), np.array([2, 2, 0, 1, 1, 0, 2])
BOTH, Y = np.concatenate([A, B]), np.concatenate([YA, YB])


def check(found):
    np.testing.assert_array_equal(found.output(Logits).whole(), BOTH)
    assert found.labels.tolist() == Y.tolist()
    assert found.member.tolist() == [True] * 5 + [False] * 7
    for n in (1, 2, 3, 4, 5, 6, 100):  # blocks of two outputs lie side by side, over the seam too
        blocks = list(found.output(Logits).table.blocks(n))
        assert [len(block) for block in blocks] == [n] * (12 // n) + ([12 % n] if 12 % n else [])
        np.testing.assert_array_equal(np.concatenate(blocks), BOTH)


def test_an_npz_for_each_side(tmp_path):
    np.savez(tmp_path / "a.npz", logits=A, labels=YA, member=np.ones(5), classes=["x", "y", "z"], ids=np.arange(5))
    np.savez(tmp_path / "b.npz", logits=B, labels=YB, member=np.zeros(7), classes=["x", "y", "z"], ids=np.arange(7) + 5)
    found = read_two_tables(tmp_path / "a.npz", tmp_path / "b.npz")
    check(found)
    assert found.classes == ("x", "y", "z")
    assert found.ids.tolist() == list(range(12))
    refused(lambda: read_two_tables(tmp_path / "b.npz", tmp_path / "a.npz"), "b.npz: Expected one side", "member")
    np.savez(tmp_path / "c.npz", logits=B, labels=YB)
    refused(
        lambda: read_two_tables(tmp_path / "a.npz", tmp_path / "c.npz"),
        "a.npz and c.npz: ",
        "classes, ids",
        "one side only",
    )
    np.savez(tmp_path / "d.npz", logits=B[:, :2], labels=YB)
    np.savez(tmp_path / "e.npz", logits=A, labels=YA)
    refused(lambda: read_two_tables(tmp_path / "e.npz", tmp_path / "d.npz"), "one shape a record", "(2,)", "(3,)")
    np.savez(tmp_path / "f.npz", logits=B, labels=YB, classes=["z", "y", "x"], ids=np.arange(7) + 5)
    refused(lambda: read_two_tables(tmp_path / "a.npz", tmp_path / "f.npz"), "the same classes", "x, y, z", "z, y, x")


@pytest.mark.parametrize(
    ("first", "second"),
    [("{}_train", "{}_test"), ("train_{}", "test_{}"), ("{}_members", "{}_nonmembers"), ("{}_in", "{}_out")],
)
def test_both_sides_in_one_npz(tmp_path, first, second):
    arrays: dict[str, Any] = {
        first.format("logits"): A,
        second.format("logits"): B,
        first.format("labels"): YA,
        second.format("labels"): YB,
    }
    np.savez(tmp_path / "t.npz", entropy=np.zeros(3), **arrays)
    found, shadow = read_predictions(tmp_path / "t.npz")
    check(found)
    assert shadow is None
    assert found.notes == (
        f"Read: arrays {first.format('...')} as those of members, {second.format('...')} as those of nonmembers.",
    )


def test_arrays_that_say_who_is_a_member_are_read_as_before(tmp_path):
    other: dict[str, Any] = {"labels_train": YA, "labels_test": YB, "logits_train": A, "logits_test": B}
    np.savez(tmp_path / "t.npz", logits=A, labels=YA, member=[1, 0, 1, 0, 1], **other)
    found, _ = read_predictions(tmp_path / "t.npz")
    assert found.member.tolist() == [True, False, True, False, True]


def test_json_lines_may_be_gzipped_and_a_damaged_line_is_named(tmp_path):
    table = pd.DataFrame({"label": [0, 1, 0], "member": [1, 0, 0], "loss": [0.1, 0.2, 0.3], "id": ["007", "8", "9"]})
    table.to_json(tmp_path / "a.jsonl.gz", orient="records", lines=True)
    assert read_predictions(tmp_path / "a.jsonl.gz")[0].ids.tolist() == ["007", "8", "9"]
    (tmp_path / "b.jsonl").write_text('{"label": 0, "member": 1, "loss": 0.1}\n{"label": 0, "mem')
    refused(lambda: read_predictions(tmp_path / "b.jsonl"), "b.jsonl: Expected JSON lines", "lines=True")


def test_npy_files_for_each_side(tmp_path):
    for name, array in (("a", A), ("b", B), ("ya", YA), ("yb", YB)):
        np.save(tmp_path / f"{name}.npy", array)
    paths, labels = [tmp_path / "a.npy", tmp_path / "b.npy"], [tmp_path / "ya.npy", tmp_path / "yb.npy"]
    check(read_two_npy(paths, labels))
    refused(lambda: read_two_npy(paths, labels[:1]), "labels of members and of nonmembers", "--labels LABELS.npy twice")
    refused(lambda: read_two_tables(*paths), "a.npy: ", "found an npy file", "--labels")
    inside, outside = read_alike(paths, labels=labels)
    np.testing.assert_array_equal(inside.inputs, A)
    assert outside.labels.tolist() == YB.tolist()
    refused(lambda: read_alike(paths, labels=labels[:1]), "labels for each of a.npy and b.npy, found 1")
    refused(lambda: read_two_records(*paths), "a.npy: ", "--labels")


def test_sides_of_two_kinds_are_one_array(tmp_path):
    np.savez(tmp_path / "a.npz", loss=A[:, 0].astype(np.float32), labels=YA)
    for name, array in (("loss", B[:, 0]), ("labels", YB)):
        np.save(tmp_path / f"{name}.npy", array)
    sides = TwoSides([NpzFile(tmp_path / "a.npz"), NpyFiles({k: tmp_path / f"{k}.npy" for k in ("loss", "labels")})])
    assert sides.load("loss").dtype == np.float64
    assert set(sides.keys) == {"loss", "labels", "member"}


@pytest.mark.parametrize(("yes", "no"), [("train", "test"), ("yes", "no"), ("Member", "non-member"), ("in", "out")])
def test_words_for_sides_are_read_and_said(yes, no):
    table = pd.DataFrame(
        {"label": [0, 1, 0], "split": [yes, no, no], "prob_0": [0.1, 0.2, 0.3], "prob_1": [0.9, 0.8, 0.7]}
    )
    found = read_table(table, Columns(member="split"))
    assert found.member.tolist() == [True, False, False]
    (note,) = found.notes
    assert note.startswith("Read: in column split, ")
    assert f"{yes} as member" in note
    assert f"{no} as nonmember" in note


def test_a_third_side_is_refused():
    table = pd.DataFrame({"label": [0, 1, 0], "split": ["train", "test", "val"], "loss": [0.1, 0.2, 0.3]})
    refused(
        lambda: read_table(table, Columns(member="split")), "0 or 1 as member, found val in column split", "leave other"
    )


@pytest.mark.parametrize(
    ("text", "essentials"),
    [
        ("0.000e+00,1.000e+00\n1.0,0.0\n", ("the header is missing", "label,member,prob_0,prob_1")),
        ("benign,1,0.25,0.75\nmalignant,0,0.5,0.5\n", ("the header is missing",)),
        ("3\n4\n", ("the header is missing",)),
        ("X_train_path: X.pkl\ny_train_path: y.pkl\n", ("settings are not read", "--model", "--members")),
        ("y,member,prob_0,prob_1\n0,1,0.5,0.5\n", ("name another with --label",)),
    ],
)
def test_a_first_line_that_is_no_header(tmp_path, text, essentials):
    (tmp_path / "a.csv").write_text(text)
    refused(lambda: read_predictions(tmp_path / "a.csv"), "a.csv: Expected", *essentials)
