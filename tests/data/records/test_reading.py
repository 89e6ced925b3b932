"""Tables and npz files as records: types, missing values, classes and categories; one file and two."""

import gzip
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from tests.data.refusals import refused

from vestige.core.records import joined
from vestige.data.records.reading import RecordColumns, read_records, read_two_records

CLINIC = {
    "row": [11, 12, 13, 14, 15, 16],
    "patient": ["p1", "p1", "p2", "p3", "p3", "p4"],
    "age": [41, 40, None, 77, 30, 8],
    "beds": [3, 1, 2, 2, 3, 9],
    "score": [0.5, 1.25, -3.0, None, 0.0, 2.0],
    "ward": ["north", "south", "south", "north", "east", "east"],
    "insurer": ["a", None, "c", "a", "b", "a"],
    "smoker": [True, False, False, True, True, False],
    "year": [2001, 2002, 2002, 2003, 2003, 2004],
    "outcome": ["well", "sick", "sick", "well", "dead", "well"],
}
COLUMNS = RecordColumns(label="outcome", id="row", subject="patient", groups=("ward",), order=("year",))
INPUTS = ["age", "beds", "score", "ward", "insurer", "smoker"]


def save(path, frame, **options):
    """Write a table in the format that the name of the file says."""
    if path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
    else:
        frame.to_csv(path, index=False, sep="\t" if ".tsv" in path.name else ",", **options)
    return path


def clinic(rows=slice(None), **changes):
    return pd.DataFrame(CLINIC | changes).iloc[rows]


@pytest.fixture(params=["a.csv", "a.csv.gz", "a.tsv", "a.parquet"])
def path(request, tmp_path):
    return tmp_path / request.param


def test_a_table_of_mixed_types(path):
    found = read_records(save(path, clinic()), COLUMNS)
    assert found.classes == ("dead", "sick", "well")
    assert found.labels.tolist() == [2, 1, 1, 2, 0, 2]
    assert found.ids.tolist() == CLINIC["row"]
    assert found.subjects.tolist() == CLINIC["patient"]
    assert found.groups["ward"].tolist() == CLINIC["ward"]
    assert found.order["year"].tolist() == CLINIC["year"]
    assert found.notes == ()
    inputs = found.inputs
    assert list(inputs.columns) == INPUTS
    assert {n: str(t) for n, t in inputs.dtypes.items() if n not in ("ward", "insurer")} == {
        "age": "float64", "beds": "int64", "score": "float64", "smoker": "bool",
    }  # fmt: skip
    np.testing.assert_array_equal(inputs["age"], [41, 40, np.nan, 77, 30, 8])
    np.testing.assert_array_equal(inputs["smoker"], CLINIC["smoker"])
    assert list(inputs["ward"].cat.categories) == ["east", "north", "south"]
    assert inputs["insurer"].isna().tolist() == [False, True, False, False, False, False]
    assert inputs["insurer"].cat.codes.tolist() == [0, -1, 2, 0, 1, 0]


def test_csv_and_parquet_hold_the_same_records(tmp_path):
    found = [read_records(save(tmp_path / name, clinic()), COLUMNS) for name in ("a.csv", "a.parquet")]
    pd.testing.assert_frame_equal(found[0].inputs, found[1].inputs)
    assert found[0].digest == found[1].digest


def test_a_pipeline_is_given_categories_and_missing_values_as_they_are(tmp_path):
    from sklearn.ensemble import HistGradientBoostingClassifier

    found = read_records(save(tmp_path / "a.csv", clinic()), COLUMNS)
    model = HistGradientBoostingClassifier(categorical_features="from_dtype", min_samples_leaf=1)
    assert model.fit(found.inputs, found.labels).predict_proba(found.inputs).shape == (6, 3)


def test_a_frame_also_where_all_inputs_are_numbers(path):
    frame = pd.DataFrame({"label": [0, 1, 1], "b": [1.5, 2, 3], "a": [1, 2, 3]})
    found = read_records(save(path, frame))
    assert list(found.inputs.columns) == ["b", "a"]
    assert found.inputs.to_numpy().tolist() == [[1.5, 1], [2, 2], [3, 3]]
    assert found.ids is None
    assert found.subjects is None


def test_listed_inputs_alone_and_a_note_on_the_rest(path):
    frame = pd.DataFrame({"label": list("ab") * 30, "x": range(60), "z": 1.0, "patient": np.repeat(range(30), 2)})
    found = read_records(save(path, frame), RecordColumns(inputs=["x"]))
    assert list(found.inputs.columns) == ["x"]
    assert "Columns not used, nor checked: z, patient." in found.notes
    assert any("values of patient repeat" in note for note in found.notes)
    assert read_records(path, RecordColumns(inputs=["x", "z"], subject="patient")).notes == ()
    assert list(read_records(path, RecordColumns(inputs="x", groups="z")).groups) == ["z"]


def test_columns_named_id_and_subject_are_what_they_say_and_row_names_are_nobody(tmp_path):
    frame = pd.DataFrame({"id": [5, 6, 7], "subject": ["u", "u", "v"], "x": [1, 2, 3], "label": [0, 1, 0]})
    for path in (tmp_path / "a.csv", tmp_path / "a.parquet"):
        if path.suffix == ".csv":
            frame.to_csv(path)  # with R's and pandas' unnamed column of row names
        else:
            frame.set_index(pd.Index([9, 8, 7])).to_parquet(path)
        found = read_records(path)
        assert list(found.inputs.columns) == ["x"]
        assert found.ids.tolist() == [5, 6, 7]
        assert found.subjects.tolist() == ["u", "u", "v"]
        assert found.notes == ()


@pytest.mark.parametrize(
    ("labels", "classes", "codes"),
    [
        ([1, 2, 1], ("1", "2"), [0, 1, 0]),
        ([-1, 1, 1], ("-1", "1"), [0, 1, 1]),
        ([10, 9, 10], ("9", "10"), [1, 0, 1]),
        ([1.0, 0.0, 1.0], ("0", "1"), [1, 0, 1]),
        ([True, False, True], ("False", "True"), [1, 0, 1]),
        (["007", "7", "7"], ("007", "7"), [0, 1, 1]),
        (["no", "yes", "no"], ("no", "yes"), [0, 1, 0]),
    ],
)
def test_classes_are_the_labels_that_occur(path, labels, classes, codes):
    found = read_records(save(path, pd.DataFrame({"x": [1, 2, 3], "label": labels})))
    assert found.classes == classes
    assert found.labels.tolist() == codes


def test_classes_that_do_not_occur_are_named_or_noted(path):
    save(path, pd.DataFrame({"x": [1, 2, 3, 4], "label": [0, 1, 2, 4]}))
    found = read_records(path)
    assert found.classes == ("0", "1", "2", "4")
    assert any("without 3" in note and "name all classes" in note for note in found.notes)
    full = read_records(path, classes=range(5))
    assert full.labels.tolist() == [0, 1, 2, 4]
    assert full.n_classes == 5
    assert full.notes == ()
    refused(lambda: read_records(path, classes=["0", "1"]), path.name, "among the classes 0, 1", "found 2, 4", "label")
    assert read_records(path, classes=[4, 2, 1, 0]).labels.tolist() == [3, 2, 1, 0]


def test_what_is_a_number_in_a_text_table(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(
        "label;comma;code;padded;empty;mixed;yes\n0;1,5;007; 1;;1;TRUE\n1;-2,25;012; 2;NA;x1;\n1;1e3;1; 30;;2;FALSE\n"
    )
    inputs = read_records(path).inputs
    assert inputs["comma"].tolist() == [1.5, -2.25, 1000]
    assert inputs["code"].tolist() == ["007", "012", "1"]
    assert inputs["padded"].tolist() == [1, 2, 30]
    assert inputs["padded"].dtype == np.int64
    assert inputs["empty"].isna().all()
    assert inputs["empty"].dtype == np.float64
    assert inputs["mixed"].tolist() == ["1", "x1", "2"]
    assert inputs["yes"].tolist()[::2] == ["TRUE", "FALSE"]
    assert inputs["yes"].isna().tolist() == [False, True, False]


def test_what_is_a_number_in_parquet(tmp_path):
    import datetime
    import decimal

    frame = pd.DataFrame(
        {
            "label": [0, 1, 1],
            "small": np.array([1, 2, 3], dtype=np.uint8),
            "text": ["1", "2", "3"],
            "maybe": pd.array([True, None, False], dtype="boolean"),
            "price": [decimal.Decimal("1.50"), None, decimal.Decimal("3.25")],
            "day": [datetime.date(2001, 2, 3), None, datetime.date(2001, 2, 4)],
            "size": pd.Categorical(["s", "m", None], categories=["s", "m", "l"], ordered=True),
            "nothing": [None, None, None],
        }
    )
    inputs = read_records(save(tmp_path / "a.parquet", frame)).inputs
    assert inputs["small"].dtype == np.uint8
    assert inputs["text"].tolist() == ["1", "2", "3"]  # text is said to be text here
    assert inputs["maybe"].tolist()[::2] == ["True", "False"]
    assert inputs["maybe"].isna().tolist() == [False, True, False]
    assert inputs["price"].tolist()[::2] == [1.5, 3.25]
    assert inputs["day"].dtype.kind == "M"
    assert list(inputs["size"].cat.categories) == ["s", "m", "l"]
    assert inputs["size"].cat.ordered
    assert inputs["nothing"].dtype == np.float64


# ------------------------------------------------------------------------------------- two files


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_two_files_are_records_of_one_kind(tmp_path, kind):
    paths = [save(tmp_path / f"{n}.{kind}", clinic(rows)) for n, rows in (("in", slice(4)), ("out", slice(4, 6)))]
    members, nonmembers = read_two_records(paths[0], paths[1], COLUMNS)
    whole = read_records(save(tmp_path / f"all.{kind}", clinic()), COLUMNS)
    assert members.classes == nonmembers.classes == ("dead", "sick", "well")  # nobody died among the members
    assert (members.labels.tolist(), nonmembers.labels.tolist()) == ([2, 1, 1, 2], [0, 2])
    assert list(nonmembers.inputs["ward"].cat.categories) == ["east", "north", "south"]
    assert (members.inputs.dtypes == nonmembers.inputs.dtypes).all()
    both = joined(members, nonmembers)
    pd.testing.assert_frame_equal(both.inputs, whole.inputs)
    assert both.digest == whole.digest
    assert both.ids.tolist() == CLINIC["row"]


def test_columns_get_one_type_for_both_files(tmp_path):
    inside = pd.DataFrame({"label": [0, 1], "n": [1, 2], "code": ["1", "2"], "gone": [None, None], "b": [True, False]})
    outside = pd.DataFrame({"label": [1, 0], "n": [1.5, 2], "code": ["x", "2"], "gone": [3, 4], "b": [True, None]})
    for kind in ("csv", "parquet"):
        paths = [save(tmp_path / f"{n}.{kind}", f) for n, f in (("in", inside), ("out", outside))]
        members, nonmembers = read_two_records(paths[0], paths[1])
        assert (members.inputs.dtypes == nonmembers.inputs.dtypes).all()
        assert members.inputs["n"].dtype == np.float64
        assert members.inputs["code"].tolist() == ["1", "2"]
        assert members.inputs["code"].cat.codes.tolist() == [0, 1]
        assert nonmembers.inputs["code"].cat.codes.tolist() == [2, 1]
        assert nonmembers.inputs["gone"].tolist() == [3, 4]
        assert members.inputs["b"].tolist() == ["True", "False"]


def test_a_csv_beside_a_parquet_file(tmp_path):
    paths = [save(tmp_path / "in.csv", clinic(slice(3))), save(tmp_path / "out.parquet", clinic(slice(3, 6)))]
    members, nonmembers = read_two_records(paths[0], paths[1], COLUMNS)
    whole = read_records(save(tmp_path / "all.parquet", clinic()), COLUMNS)
    assert joined(members, nonmembers).digest == whole.digest


def test_categories_of_parquet_are_united_and_ordered_ones_must_agree(tmp_path):
    def table(name, values, categories, *, ordered):
        size = pd.Categorical(values, categories=categories, ordered=ordered)
        return save(tmp_path / f"{name}.parquet", pd.DataFrame({"label": [0, 1], "size": size}))

    plain = [table("a", ["s", "m"], ["s", "m"], ordered=False), table("b", ["l", "s"], ["l", "s"], ordered=False)]
    members, nonmembers = read_two_records(plain[0], plain[1])
    assert list(members.inputs["size"].cat.categories) == ["s", "m", "l"]
    assert nonmembers.inputs["size"].tolist() == ["l", "s"]
    sorted_ = [table("c", ["s", "m"], ["s", "m"], ordered=True), table("d", ["l", "s"], ["s", "l"], ordered=True)]
    refused(
        lambda: read_two_records(sorted_[0], sorted_[1]), "c.parquet and d.parquet", "ordered categories of column size"
    )


def test_two_files_that_do_not_belong_together(tmp_path):
    one = save(tmp_path / "in.csv", clinic(slice(3)))
    for frame, essentials in (
        (clinic(slice(3, 6)).drop(columns="beds"), ("out.csv", "columns of in.csv", "beds missing")),
        (clinic(slice(3, 6)).assign(extra=1), ("out.csv", "columns of in.csv", "extra added", "name the inputs")),
        (clinic(slice(2, 6)), ("in.csv and out.csv", "every id in one of the files", "found 1 in both", "such as 13")),
        (clinic(slice(3, 6)).drop(columns="outcome"), ("out.csv", "a column outcome", "as label")),
    ):
        other = save(tmp_path / "out.csv", frame)
        refused(partial(read_two_records, one, other, COLUMNS), *essentials)
    refused(lambda: read_two_records(one, one, COLUMNS), "in.csv", "two files, found the same")
    np.savez(tmp_path / "out.npz", inputs=np.eye(2), labels=[0, 1])
    refused(lambda: read_two_records(one, tmp_path / "out.npz"), "in.csv and out.npz", "one of each", "one format")
    refused(lambda: read_two_records(one, tmp_path / "gone.csv"), "gone.csv", "found none there")


# ------------------------------------------------------------------------------------- bad tables


@pytest.mark.parametrize(
    ("change", "columns", "essentials"),
    [
        ({}, RecordColumns(), ("a column label", "found row, patient, age", "name another as label")),
        ({}, replace(COLUMNS, id="number"), ("a column number", "as id")),
        ({}, replace(COLUMNS, subject="person"), ("a column person", "as subject")),
        ({}, replace(COLUMNS, groups=("sex",)), ("a column sex", "as a group")),
        ({}, replace(COLUMNS, order=("day",)), ("a column day", "as order")),
        ({}, replace(COLUMNS, inputs=("agee",)), ("a column agee", "as an input")),
        ({}, replace(COLUMNS, inputs=("age", "outcome")), ("inputs without the label", "outcome")),
        ({}, replace(COLUMNS, label="score"), ("column score", "missing in data row 4", "fill it in")),
        ({}, replace(COLUMNS, groups=("insurer",)), ("column insurer", "missing in data row 2")),
        ({"outcome": [0.5, 1.5, 1, 2, 3, 4]}, COLUMNS, ("classes as labels", "0.5", "regression targets")),
        ({"outcome": [None, "sick"] * 3}, COLUMNS, ("column outcome", "missing in data row 1 and 2 more")),
        ({"outcome": ["sick"] * 6}, COLUMNS, ("two classes or more", "only sick in column outcome")),
        ({"row": [1, 2, 3, 3, 4, 5]}, COLUMNS, ("unique ids", "such as 3", "subjects")),
        ({"patient": ["a", None] * 3}, COLUMNS, ("column patient", "missing in data row 2")),
    ],
)
def test_bad_tables(path, change, columns, essentials):
    save(path, clinic(**change))
    refused(lambda: read_records(path, columns), path.name, *essentials)


def test_tables_that_cannot_be_read(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("x,label\n1,0\n2\n3,1\n")
    refused(lambda: read_records(path), "a.csv", "2 fields", "found 1", "data row 2")
    path.write_text("x,label\n")
    refused(lambda: read_records(path), "a.csv", "without rows")
    path.write_text("x,x,label\n1,2,0\n1,2,1\n")
    refused(lambda: read_records(path), "a.csv", "one column x, found 2", "rename")
    path.write_text("id,label\n1,0\n2,1\n")
    refused(lambda: read_records(path), "a.csv", "found none beside label", "add the features")
    path.write_bytes(gzip.compress(b"x,label\n" + b"1,0\n" * 50_000)[:-40])
    refused(lambda: read_records(path), "a.csv", "gzip", "truncated")
    path.write_bytes(b"\x80\x04pickle")
    refused(lambda: read_records(path), "a.csv", "pickles are never loaded")
    np.save(tmp_path / "a.npy", np.eye(3))
    refused(lambda: read_records(tmp_path / "a.npy"), "a.npy", "an npz file, found an npy file")


def test_columns_no_model_takes(tmp_path):
    path = tmp_path / "a.parquet"
    for values, kind in (([[1], [2, 3]], "list"), ([b"\xff\xd8", b"\xff"], "binary"), ([{"a": 1}, {"a": 2}], "struct")):
        save(path, pd.DataFrame({"label": [0, 1], "image": values}))
        refused(lambda: read_records(path), "a.parquet", "column image", f"found {kind}", "leave it out")


# ------------------------------------------------------------------------------------- npz

ARRAYS = {
    "inputs": np.arange(24, dtype=np.uint8).reshape(4, 2, 3, 1),
    "labels": np.array([2, 0, 1, 2]),
    "ids": np.array([4, 5, 6, 7]),
    "subjects": np.array(["u", "u", "v", "w"]),
    "group_ward": np.array(["n", "s", "s", "n"]),
    "day": np.array([1, 2, 3, 4]),
}


def npz(path, **changes):
    np.savez(path, allow_pickle=True, **{k: v for k, v in (ARRAYS | changes).items() if v is not None})
    return path


def test_an_npz(tmp_path):
    found = read_records(npz(tmp_path / "a.npz"), RecordColumns(order=("day",)))
    np.testing.assert_array_equal(found.inputs, ARRAYS["inputs"])
    assert found.inputs.dtype == np.uint8
    assert found.labels.tolist() == [2, 0, 1, 2]
    assert found.classes is None
    assert found.ids.tolist() == [4, 5, 6, 7]
    assert found.subjects.tolist() == ["u", "u", "v", "w"]
    assert found.groups["ward"].tolist() == ["n", "s", "s", "n"]
    assert found.order["day"].tolist() == [1, 2, 3, 4]


def test_classes_of_an_npz(tmp_path):
    named = read_records(npz(tmp_path / "a.npz", classes=np.array(["cat", "dog", "eel", "fly"])))
    assert named.classes == ("cat", "dog", "eel", "fly")
    assert named.labels.tolist() == [2, 0, 1, 2]
    text = read_records(npz(tmp_path / "a.npz", labels=np.array(["b", "a", "b", "c"])))
    assert text.classes == ("a", "b", "c")
    numbers = read_records(npz(tmp_path / "a.npz", labels=np.array([10, 5, 5, 9]), classes=np.array([5, 9, 10])))
    assert numbers.labels.tolist() == [2, 0, 0, 1]
    assert read_records(npz(tmp_path / "a.npz"), classes=["x", "y", "z", "w"]).n_classes == 4


def test_two_npz_files(tmp_path):
    inside, outside = npz(tmp_path / "in.npz"), tmp_path / "out.npz"
    npz(outside, labels=np.array([4, 0, 0, 1]), ids=np.arange(40, 44))
    members, nonmembers = read_two_records(inside, outside)
    assert members.n_classes == nonmembers.n_classes == 5
    assert members.classes == nonmembers.classes
    assert nonmembers.labels.tolist() == [4, 0, 0, 1]
    assert joined(members, nonmembers).n_records == 8
    npz(inside, labels=np.array(["b", "a", "b", "b"]))
    npz(outside, labels=np.array(["c", "b", "b", "b"]), ids=np.arange(40, 44))
    members, nonmembers = read_two_records(inside, outside)
    assert members.classes == nonmembers.classes == ("a", "b", "c")
    assert nonmembers.labels.tolist() == [2, 1, 1, 1]


@pytest.mark.parametrize(
    ("changes", "essentials"),
    [
        ({"inputs": None}, ("the array inputs", "found labels, ids")),
        ({"labels": None}, ("the array labels", "numpy.savez")),
        ({"labels": np.array([0.5, 1, 2, 1])}, ("classes as labels", "regression targets")),
        ({"labels": np.array([0, 1, np.nan, 1])}, ("labels", "missing values, first in row 3")),
        ({"labels": np.eye(4)}, ("one-hot labels need argmax",)),
        ({"labels": np.array([0, 1, 1])}, ("labels", "found 3 for 4 rows of inputs")),
        ({"ids": np.array([1, 2, 2, 3])}, ("unique ids", "such as 2")),
        ({"group_ward": np.array(["n"])}, ("group ward", "found 1 for 4 rows")),
        ({"inputs": np.array([1, "a", None, 2], dtype=object)}, ("inputs", "object")),
        ({"inputs": np.arange(4)}, ("inputs as an array", "1 axes")),
        ({"day": None}, ("the array day",)),
        ({"classes": np.array([["a", "b", "c"]])}, ("a.npz[classes]", "one name per class", "shape (1, 3)")),
        ({"classes": np.array(["a", "b"])}, ("labels in 0..1", "found 2")),
    ],
)
def test_bad_npz(tmp_path, changes, essentials):
    npz(tmp_path / "a.npz", **changes)
    refused(lambda: read_records(tmp_path / "a.npz", RecordColumns(order=("day",))), "a.npz", *essentials)


@pytest.mark.parametrize(
    ("changes", "essentials"),
    [
        ({"inputs": np.zeros((4, 6), dtype=np.uint8)}, ("shape of inputs", "(2, 3, 1) and (6,)")),
        ({"inputs": ARRAYS["inputs"] / 255}, ("kind of inputs", "whole numbers and floats")),
        ({"subjects": None}, ("same subjects", "some and none")),
        ({"group_ward": None}, ("same groups", "ward and none")),
        ({"ids": ARRAYS["ids"] + 3}, ("every id in one of the files", "such as 7")),
        ({"classes": np.array(["a", "b", "c"])}, ("array classes", "in out.npz only")),
    ],
)
def test_two_npz_files_that_do_not_belong_together(tmp_path, changes, essentials):
    inside, outside = npz(tmp_path / "in.npz"), npz(tmp_path / "out.npz", **({"ids": np.arange(40, 44)} | changes))
    refused(lambda: read_two_records(inside, outside), "in.npz and out.npz", *essentials)


def test_names_of_columns_beside_an_npz(tmp_path):
    refused(lambda: read_records(npz(tmp_path / "a.npz"), RecordColumns(label="y")), "beside a table only", "labels")
