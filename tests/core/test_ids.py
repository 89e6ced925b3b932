"""Ids that stand for one record are equal wherever they come from, and what is no number is left as it is."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from vestige import Predictions, Records, References
from vestige.core.errors import InputError
from vestige.core.ids import as_ids, id_texts, joined_ids
from vestige.core.outputs import Loss, Phi
from vestige.core.records import joined
from vestige.data import Columns, read_npz, read_two_records, read_two_tables

SPELLINGS = [
    np.array([1001, 1002]),
    np.array([1001, 1002], dtype=np.uint16),
    np.array([1001, 1002], dtype=">i8"),
    np.array([1001.0, 1002.0]),
    np.array([1001.0, 1002.0], dtype=">f4"),
    np.array([1001.0, 1002.0], dtype=np.longdouble),
    np.array(["1001", "1002"]),
    np.array([b"1001", b"1002.0"]),
    np.array(["1001.0", "1002.00"]),
    pd.Series([1001, 1002], dtype="Int64"),
    pd.Series([1001, None, 1002]).dropna().reset_index(drop=True),
    [1001.0, 1002],
]


@pytest.mark.parametrize("one", SPELLINGS)
@pytest.mark.parametrize("other", SPELLINGS)
def test_whole_numbers_are_one_id_however_they_are_held(one, other):
    one, other = as_ids(one, "ids", 2), as_ids(other, "ids", 2)
    np.testing.assert_array_equal(id_texts(one), id_texts(other))
    assert np.unique(joined_ids(one, other)).size == 2


@pytest.mark.parametrize("text", ["007", "007.0", "A1.0", "1.5", "1e3", "1_0", " 7", "7.", "-0.5", "\u0667.0"])
def test_text_that_is_no_plain_whole_number_stays_as_it_is(text):
    assert as_ids([text, "x"], "ids", 2).tolist() == [text, "x"]
    assert id_texts(np.array([text])).tolist() == [text]


def test_rounded_floats_are_no_ids():
    with pytest.raises(InputError, match="whole numbers or text as subjects, found floats such as 1e\\+17"):
        as_ids([1e17, 1.0], "subjects", 2)
    assert as_ids(np.array([2**63 + 1, 1], np.uint64), "ids", 2).tolist() == [str(2**63 + 1), "1"]


@pytest.mark.parametrize("values", [np.array([1j, 2]), np.array([b"ab", b"cd"], "V2")])
@pytest.mark.parametrize("part", ["ids", "subjects", "group", "order"])
def test_what_no_table_holds_is_refused_before_anything_is_computed(values, part):
    given: dict[str, Any] = (
        {part: values} if part in ("ids", "subjects") else {f"{part}s".replace("orders", "order"): {"x": values}}
    )
    for make in (
        lambda: Predictions(Loss([0.1, 0.2]), [0, 1], [1, 0], **given),
        lambda: Records(np.eye(2), [0, 1], **given),
    ):
        with pytest.raises(InputError, match=f"Expected numbers, text or dates as {part}"):
            make()


@pytest.mark.parametrize("kind", [">i4", ">f8", np.longdouble, np.float16, ">U3", "S3"])
def test_ids_and_groups_of_other_types_reach_the_files_of_an_audit(tmp_path, kind):
    from vestige import audit

    n = 60
    values = np.arange(n).astype(kind)
    rng = np.random.default_rng(0)
    predictions = Predictions(
        Loss(rng.random(n)),
        np.arange(n) % 2,
        np.arange(n) < 30,
        ids=values,
        groups={"ward": values % 2 if values.dtype.kind != "U" and values.dtype.kind != "S" else values},
    )
    audit(predictions, run=tmp_path / "run")
    found = pd.read_parquet(tmp_path / "run" / "records.parquet")
    np.testing.assert_array_equal(id_texts(found.id.to_numpy()), id_texts(np.arange(n)))


def test_one_record_on_two_sides_is_noticed(tmp_path):
    whole, fraction = tmp_path / "members.csv", tmp_path / "nonmembers.csv"
    whole.write_text("id,label,loss,x\n1001,0,0.5,1\n1002,1,0.25,2\n")
    fraction.write_text("id,label,loss,x\n1003.0,0,0.5,3\n1001.0,1,0.25,4\n")
    with pytest.raises(InputError, match="found 1 as member and as nonmember, such as 1001"):
        read_two_tables(whole, fraction)
    with pytest.raises(InputError, match="found 1 in both, such as 1001"):
        read_two_records(whole, fraction)
    fraction.write_text("id,label,loss,x\n1003.0,0,0.5,3\n1004.0,1,0.25,4\n")
    assert read_two_tables(whole, fraction).ids.tolist() == [1001, 1002, 1003, 1004]
    assert [side.ids.tolist() for side in read_two_records(whole, fraction)] == [[1001, 1002], [1003, 1004]]
    pd.read_csv(fraction).to_parquet(tmp_path / "nonmembers.parquet")  # as floats
    found = read_two_tables(whole, tmp_path / "nonmembers.parquet")
    assert found.ids.tolist() == [1001, 1002, 1003, 1004]


def test_a_person_on_two_sides_is_one_person(tmp_path):
    columns = Columns(subject="person")
    whole, fraction = tmp_path / "members.csv", tmp_path / "nonmembers.csv"
    whole.write_text("person,label,loss\n1001,0,0.5\n1002,1,0.25\n")
    fraction.write_text("person,label,loss\n1003.0,0,0.5\n1001.0,1,0.25\n")
    assert read_two_tables(whole, fraction, columns).subjects.tolist() == [1001, 1002, 1003, 1001]
    np.savez(tmp_path / "a.npz", loss=[0.5, 0.25], labels=[0, 1], member=[1, 0], subjects=np.array(["1001", "1001.0"]))
    assert len(set(read_npz(tmp_path / "a.npz")[0].subjects.tolist())) == 1
    sides = [Records(np.eye(2), [0, 1], ids=[k, k + 1], subjects=s) for k, s in ((0, ["7", "8.0"]), (2, [8.0, 9.0]))]
    assert joined(*sides).subjects.tolist() == ["7", "8", "8", "9"]


def test_shadows_and_references_are_joined_by_the_same_ids():
    from vestige.auditing.references.phi import _matched
    from vestige.evaluation.preflight import shadow_overlap

    check = shadow_overlap(np.array([1001, 1002]), np.array(["1001.0", "9"]))
    assert check is not None
    assert check.message.startswith("1 of")
    target = Predictions(Loss([0.1, 0.2]), [0, 1], [1, 0], ids=["1002.0", "1001"])
    references = References(Phi, np.zeros((2, 2)), np.array([[1, 0], [0, 1]]), ids=[1001.0, 1002.0])
    assert _matched(references, target)[0].tolist() == [1, 0]
