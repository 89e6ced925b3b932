import zipfile
from functools import partial

import numpy as np
import pytest
from tests.data.refusals import refused

from vestige.core.outputs import Logits, Loss, Phi, PredictedLabels, Probabilities
from vestige.data import read_npz, read_predictions, read_shadow
from vestige.data.formats.arrays import NpyStream

LABELS = np.array([0, 1, 2, 1])
MEMBER = np.array([1, 1, 0, 0])
PROBS = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6], [0.3, 0.4, 0.3]])


def saved(path, **arrays):
    np.savez(path, **({"probs": PROBS, "labels": LABELS, "member": MEMBER} | arrays))
    return path


def values(output):
    return np.concatenate(list(output.table.blocks(2)))


def test_every_key(tmp_path):
    path = saved(
        tmp_path / "a.npz",
        logits=np.log(PROBS),
        loss=np.ones(4),
        phi=np.zeros(4),
        predicted=np.array([0, 1, 1, 1]),
        ids=np.array(["a", "b", "c", "007"]),
        subjects=np.array([1, 1, 2, 3]),
        groups=np.array(["f", "m", "f", "m"]),
        group_site=np.array([b"x", b"y", b"x", "\xe9".encode()]),
        inputs=np.eye(4),
        classes=np.array(["u", "v", "w"]),
        day=np.array([1, 2, 3, 4]),
        unrelated=np.zeros(7),
    )
    target, shadow = read_npz(path, order=("day",))
    assert shadow is None
    assert [type(o) for o in target.outputs] == [Logits, Probabilities, Loss, Phi, PredictedLabels]
    np.testing.assert_array_equal(values(target.output(Probabilities)), PROBS)
    np.testing.assert_array_equal(values(target.output(PredictedLabels)), [0, 1, 1, 1])
    assert isinstance(target.output(Logits).table, NpyStream)
    assert target.output(Logits).table.name == "a.npz[logits]"
    np.testing.assert_array_equal(target.labels, LABELS)
    np.testing.assert_array_equal(target.member, [True, True, False, False])
    assert target.ids.tolist() == ["a", "b", "c", "007"]
    assert target.subjects.tolist() == [1, 1, 2, 3]
    assert {k: v.tolist() for k, v in target.groups.items()} == {
        "group": ["f", "m", "f", "m"],
        "site": ["x", "y", "x", "\xe9"],
    }
    np.testing.assert_array_equal(target.inputs, np.eye(4))
    assert target.order["day"].tolist() == [1, 2, 3, 4]
    assert target.classes == ("u", "v", "w")


def test_the_shadow_has_records_of_its_own(tmp_path):
    path = saved(
        tmp_path / "a.npz",
        shadow_logits=np.zeros((3, 3)),
        shadow_labels=[2, 1, 0],
        shadow_member=[0, 1, 0],
        shadow_ids=[7, 8, 9],
        shadow_subjects=["s", "t", "t"],
        shadow_groups=["f", "m", "m"],
    )
    target, shadow = read_predictions(path)
    assert shadow is not None
    assert target.n_records == 4
    assert shadow.n_records == 3
    assert [type(o) for o in shadow.outputs] == [Logits]
    assert shadow.ids.tolist() == [7, 8, 9]
    assert shadow.subjects.tolist() == ["s", "t", "t"]
    assert shadow.groups["group"].tolist() == ["f", "m", "m"]


def test_a_shadow_in_a_file_of_its_own(tmp_path):
    assert read_shadow(saved(tmp_path / "a.npz")).n_records == 4
    np.savez(tmp_path / "b.npz", shadow_probs=PROBS[:2], shadow_labels=LABELS[:2], shadow_member=[1, 0])
    assert read_shadow(tmp_path / "b.npz").n_records == 2
    saved(tmp_path / "c.npz", classes=["u", "v", "w"])
    assert read_shadow(tmp_path / "c.npz", classes=("u", "v", "w")).classes == ("u", "v", "w")
    refused(
        lambda: read_shadow(tmp_path / "c.npz", classes=("w", "v", "u")), "c.npz", "w, v, u", "u, v, w", "same columns"
    )


def test_the_shadow_takes_the_target_s_classes(tmp_path):
    shadow = {"shadow_probs": PROBS, "shadow_labels": np.array(["w", "v", "v", "u"]), "shadow_member": MEMBER}
    _, found = read_npz(saved(tmp_path / "a.npz", classes=["u", "v", "w"], **shadow))
    assert found is not None
    np.testing.assert_array_equal(found.labels, [2, 1, 1, 0])
    bad = saved(tmp_path / "b.npz", classes=["u", "v", "w"], shadow_classes=["u", "w", "v"], **shadow)
    refused(lambda: read_npz(bad), "b.npz: Expected the target's classes u, v, w", "u, w, v")


def test_labels_by_name_by_code_and_from_one(tmp_path):
    text = read_npz(saved(tmp_path / "a.npz", labels=["z", "x", "y", "x"], classes=["z", "x", "y"]))[0]
    np.testing.assert_array_equal(text.labels, [0, 1, 2, 1])
    named = read_npz(saved(tmp_path / "b.npz", labels=[3, 5, 9, 5], classes=[3, 5, 9]))[0]
    np.testing.assert_array_equal(named.labels, [0, 1, 2, 1])
    assert named.classes == ("3", "5", "9")
    based = read_npz(saved(tmp_path / "c.npz", labels=LABELS + 1, predicted=LABELS + 1), label_base=1)[0]
    np.testing.assert_array_equal(based.labels, LABELS)
    np.testing.assert_array_equal(values(based.output(PredictedLabels)), LABELS)
    refused(lambda: read_npz(saved(tmp_path / "d.npz", labels=LABELS + 1)), "d.npz: ", "0..2, found 3")
    refused(lambda: read_npz(saved(tmp_path / "e.npz"), label_base=1), "e.npz: ", "count from 1", "found 0")
    refused(lambda: read_npz(saved(tmp_path / "f.npz", labels=["z", "x", "y", "x"])), "f.npz: ", "found text")
    refused(lambda: read_npz(saved(tmp_path / "g.npz", labels=[0.5, 1, 2, 1])), "g.npz: ", "regression")
    refused(lambda: read_npz(saved(tmp_path / "h.npz", labels=np.eye(4))), "h.npz: ", "multi-label")


def test_text_labels_need_no_columns_when_there_are_none(tmp_path):
    np.savez(tmp_path / "a.npz", loss=np.ones(4), labels=["z", "x", "y", "x"], member=MEMBER, predicted=["q"] * 4)
    target, _ = read_npz(tmp_path / "a.npz")
    assert target.classes == ("q", "x", "y", "z")
    np.testing.assert_array_equal(target.labels, [3, 1, 2, 1])
    np.testing.assert_array_equal(values(target.output(PredictedLabels)), [0] * 4)


def test_missing_keys_are_named_with_what_there_is(tmp_path):
    np.savez(tmp_path / "a.npz", prob=PROBS, labels=LABELS, member=MEMBER)
    refused(lambda: read_npz(tmp_path / "a.npz"), "a.npz: ", "logits, probs, loss, phi", "found prob, labels, member")
    np.savez(tmp_path / "b.npz", probs=PROBS, labels=LABELS)
    refused(lambda: read_npz(tmp_path / "b.npz"), "b.npz: Expected the array member, found probs, labels")
    refused(lambda: read_npz(saved(tmp_path / "c.npz"), order=("day",)), "the array day", "--order")
    lonely = saved(tmp_path / "d.npz", shadow_labels=LABELS)
    refused(lambda: read_npz(lonely), "d.npz: ", "shadow_logits, shadow_probs", "shadow_member")


@pytest.mark.parametrize("key", ["probs", "labels", "ids", "shadow_probs"])
def test_object_arrays_are_refused_by_name(tmp_path, key):
    shadow = {"shadow_probs": PROBS, "shadow_labels": LABELS, "shadow_member": MEMBER}
    path = saved(tmp_path / "a.npz", **(shadow | {key: np.array([1, "x", None, 2.0], dtype=object)}))
    refused(lambda: read_npz(path), f"a.npz[{key}]", "object array", "never loaded", ".astype(str)")


def test_what_cannot_be_predictions_names_the_file(tmp_path):
    refused(lambda: read_npz(saved(tmp_path / "a.npz", labels=LABELS[:3])), "a.npz: ", "found 3 for 4 rows")
    refused(lambda: read_npz(saved(tmp_path / "b.npz", member=[1, 1, 1, 1])), "b.npz: ", "nonmember")
    refused(lambda: read_npz(saved(tmp_path / "c.npz", probs=PROBS[:, :1])), "c.npz: ", "--positive")
    refused(lambda: read_npz(saved(tmp_path / "d.npz", probs=PROBS[0])), "d.npz", "shape (3,)")
    refused(lambda: read_npz(saved(tmp_path / "e.npz", probs=np.full((4, 3), "x"))), "e.npz[probs]", "dtype")
    refused(lambda: read_npz(saved(tmp_path / "f.npz", ids=[1, 1, 2, 3])), "f.npz: ", "unique ids", "--subject")
    refused(lambda: read_npz(saved(tmp_path / "g.npz", classes=[["a"]])), "g.npz[classes]", "class name per column")
    refused(lambda: read_npz(saved(tmp_path / "h.npz", probs=np.float64(1))), "h.npz", "shape ()")
    refused(lambda: read_npz(saved(tmp_path / "i.npz", ids=np.array([b"\xe9"] * 4))), "i.npz[ids]", "UTF-8")


def test_zips_that_are_no_npz(tmp_path):
    for name, entry, essential in (
        ("a.xlsx", "xl/workbook.xml", "Excel"),
        ("a.pt", "archive/data.pkl", "pickles are never loaded"),
        ("a.zip", "readme.txt", "without arrays"),
    ):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr(entry, "x")
        refused(partial(read_predictions, tmp_path / name), f"{name}: ", essential)
    np.savez(tmp_path / "empty.npz")
    refused(lambda: read_npz(tmp_path / "empty.npz"), "empty.npz: ", "without arrays")


@pytest.mark.parametrize("keep", [0.2, 0.9, 0.99])
def test_a_truncated_npz(tmp_path, keep):
    path = saved(tmp_path / "a.npz")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    refused(lambda: read_npz(path), "a.npz: ", "truncated or damaged", "save it again")


def test_an_encrypted_npz(tmp_path):
    path = saved(tmp_path / "a.npz")
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        offsets = [info.header_offset for info in archive.infolist()]
    start = data.index(b"PK\x01\x02")
    for offset, flag in [(o, 6) for o in offsets] + [(start, 8)]:
        data[offset + flag] |= 1
    path.write_bytes(data)
    refused(lambda: read_npz(path), "a.npz", "encrypted")


def test_reading_is_by_content_not_by_extension(tmp_path):
    saved(tmp_path / "a.npz").rename(tmp_path / "a.csv")
    assert read_predictions(tmp_path / "a.csv")[0].n_records == 4
