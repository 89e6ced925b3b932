"""Records say what they are, refuse what they cannot be, and their digest tells what a model could learn."""

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from vestige.core.errors import InputError
from vestige.core.records import Codes, Records, joined

X = np.arange(12.0).reshape(6, 2)
Y = np.array([0, 1, 2, 1, 0, 1])


def table(n=6, index=None) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "age": np.arange(n, dtype=float),
            "ward": pd.Categorical(["a", "b", "a", "c", None, "b"][:n], categories=["a", "b", "c", "never"]),
            "drug": pd.Series(["x", None, "y", "x", "x", "z"][:n], dtype="str"),
            "dose": pd.array([1, None, 3, 4, 5, 6][:n], dtype="Int64"),
        }
    ).set_axis(range(n) if index is None else index)


# -------------------------------------------------------------------------------------- what is given


def test_numbers_are_codes():
    r = Records(X, Y)
    assert (r.n_records, r.n_classes, r.classes) == (6, 3, None)
    assert r.labels.dtype == np.int64
    assert Records(X, Y, classes=5).n_classes == 5
    assert Records(X, Y, classes=np.int64(5)).classes is None
    assert Records(X, Y[:, None].astype(np.float32)).labels.tolist() == Y.tolist()  # as Keras keeps labels


def test_images_keep_their_bytes():
    images = np.zeros((6, 8, 8, 3), np.uint8)
    r = Records(images, Y)
    assert r.inputs is images
    assert r.take([5, 0]).inputs.dtype == np.uint8


def test_names_become_codes_in_the_order_of_the_classes():
    names = ["well", "sick", "well", "dead", "sick", "well"]
    assert Records(X, names).classes == ("dead", "sick", "well")
    assert Records(X, names).labels.tolist() == [2, 1, 2, 0, 1, 2]
    r = Records(X, names, classes=["well", "sick", "dead", "unseen"])
    assert (r.labels.tolist(), r.n_classes) == ([0, 1, 0, 2, 1, 0], 4)
    assert Records(X, pd.Series(names, dtype="category")).classes == ("dead", "sick", "well")


def test_numbers_with_class_names_that_are_numbers_are_names():
    r = Records(X, [3, 1, 1, 7, 3, 1], classes=[7, 1, 3])
    assert r.labels.tolist() == [2, 1, 1, 0, 2, 1]
    assert r.classes == ("7", "1", "3")
    assert Records(X, ["3", "1", "1", "7", "3", "1"], classes=[7, 1, 3]).labels.tolist() == r.labels.tolist()
    assert Records(X, [0, 1, 1, 0, 0, 1], classes=["well", "sick"]).labels.tolist() == [0, 1, 1, 0, 0, 1]


def test_codes_are_codes_whatever_the_classes_are_called():
    r = Records(X, [0, 1, 2, 1, 0, 1], classes=Codes(["1", "2", "3"]))
    assert (r.labels.tolist(), r.classes) == ([0, 1, 2, 1, 0, 1], ("1", "2", "3"))


@pytest.mark.parametrize(
    ("inputs", "labels", "options", "said"),
    [
        (X[:0], Y[:0], {}, "at least one record"),
        (X[:, 0], Y, {}, "records first, or a DataFrame, found 1 axes"),
        (X.astype(object), Y, {}, "found 2 axes of object"),
        (X, Y[:5], {}, "found 5 for 6 rows of inputs"),
        (X, [0, 1, 2, np.nan, 0, 1], {}, r"missing values, first in row 4"),
        (X, [0, 1, 2, None, 0, 1], {}, r"missing values, first in row 4"),
        (X, [0.5, 1, 2, 1, 0, 1], {}, "regression targets are not supported"),
        (X, np.eye(6), {}, "one-hot labels need argmax first"),
        (X, [-1, 1, 2, 1, 0, 1], {}, r"labels in 0\.\., found -1 in row 1"),
        (X, Y, {"classes": 2}, r"labels in 0\.\.1, found 2 in row 3"),
        (X, Y, {"classes": ["a", "b"]}, r"labels in 0\.\.1, found 2 in row 3"),
        (X, list("abcabc"), {"classes": ["a", "b"]}, "among the classes a, b, found c"),
        (X, [1, 2, 3, 1, 2, 3], {"classes": ["0", "1", "2"]}, "count from 1"),
        (X, list("abcabc"), {"classes": 3}, "Expected numbers 0..K-1 as labels, found text such as 'a'"),
        (X, Y, {"classes": ["a", "b", "a"]}, "class names that differ"),
        (X, Y, {"ids": [1, 2, 3, 4, 5, 1]}, "unique ids, found 1 repeated, such as 1; .* pass that column as subjects"),
        (X, Y, {"ids": [1, 2, 3, 4, 5, None]}, "missing values, first in row 6"),
        (X, Y, {"subjects": [1, 2]}, "entry of subjects per record, found 2 for 6 rows"),
        (X, Y, {"groups": [1, 2, 3, 4, 5, 6]}, "give every column a name"),
        (X, Y, {"groups": {"ward": [1, 2]}}, "entry of group ward per record, found 2"),
        (X, Y, {"order": {"time": [1, 2]}}, "entry of order time per record, found 2"),
    ],
)
def test_what_cannot_be_is_refused(inputs, labels, options, said):
    with pytest.raises(InputError, match=said) as caught:
        Records(inputs, labels, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("what", ["labels", "ids", "subjects", "groups", "order"])
def test_an_index_is_never_overruled_by_position(what):
    shuffled = pd.Series(range(6), index=[5, 4, 3, 2, 1, 0])
    given: dict[str, Any] = {"labels": Y, what: {"k": shuffled} if what in ("groups", "order") else shuffled}
    with pytest.raises(InputError, match="with the index of inputs, found 5 beside 0 in row 1"):
        Records(table(), **given)
    given[what] = {"k": shuffled.to_numpy()} if what in ("groups", "order") else shuffled.to_numpy()
    assert Records(table(), **given).n_records == 6


# ------------------------------------------------------------------------------------------- rows


def everything() -> Records:
    return Records(
        table(),
        list("abcbab"),
        ids=[10, 11, 12, 13, 14, 15],
        subjects=list("ppqqrr"),
        groups={"ward": list("xxyyxy")},
        order={"time": pd.to_datetime(["2020-01-01"] * 6)},
        notes=("seen",),
    )


@pytest.mark.parametrize("rows", [[True, False, False, False, False, True], [0, 5], np.array([0, -1], np.int8)])
def test_rows_keep_all_classes_categories_and_columns(rows):
    part = everything().take(rows)
    assert part.classes == ("a", "b", "c")
    assert part.n_classes == 3
    assert part.labels.tolist() == [0, 1]
    assert part.ids.tolist() == [10, 15]
    assert part.subjects.tolist() == ["p", "r"]
    assert part.groups["ward"].tolist() == ["x", "y"]
    assert part.order["time"].size == 2
    assert part.notes == ("seen",)
    assert part.inputs["ward"].cat.categories.tolist() == ["a", "b", "c", "never"]
    assert part.inputs.dtypes.tolist() == table().dtypes.tolist()


def test_rows_of_unnamed_classes_stay_unnamed_and_as_many():
    part = Records(X, Y).take([0, 1])
    assert (part.classes, part.n_classes) == (None, 3)
    assert joined(part, Records(X, Y)).n_classes == 3
    assert Records(X, Y).take(range(6)).digest == Records(X, Y).digest


def test_rows_of_classes_that_are_called_like_numbers_keep_their_codes():
    whole = Records(X, [1, 2, 3, 2, 1, 2], classes=["1", "2", "3"])
    assert whole.take([0, 1]).labels.tolist() == [0, 1]
    assert joined(whole, whole.take([1])).labels.tolist() == [0, 1, 2, 1, 0, 1, 1]


def test_rows_are_a_copy():
    x = X.copy()
    part = Records(x, Y).take(range(6))
    part.inputs[:] = 0
    np.testing.assert_array_equal(x, X)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([True, False], r"mask of 6 records, found one of shape \(2,\)"),
        ([0, 6], "positions among 6 records, found int64 from 0 to 6"),
        ([-7], "from -7 to -7"),
        ([0.5, 1.0], "found float64"),
        ([], "at least one record"),
        ([False] * 6, "at least one record"),
    ],
)
def test_rows_that_are_none_are_refused(rows, said):
    with pytest.raises(InputError, match=said):
        Records(X, Y).take(rows)


# ------------------------------------------------------------------------------------------ joined


def test_both_sets_of_records_in_order():
    whole = everything()
    first, second = whole.take([4, 0]), whole.take([1, 2, 3, 5])
    both = joined(first, second)
    assert both.ids.tolist() == [14, 10, 11, 12, 13, 15]
    assert both.labels.tolist() == [0, 0, 1, 2, 1, 1]
    assert both.notes == ("seen",)
    assert both.take([1, 2, 3, 4, 0, 5]).digest == whole.digest


def test_categories_that_differ_are_united():
    one = Records(pd.DataFrame({"c": pd.Categorical(["a", "b"])}), [0, 1])
    other = Records(pd.DataFrame({"c": pd.Categorical(["c", None])}), [0, 1])
    column = joined(one, other).inputs["c"]
    assert column.cat.categories.tolist() == ["a", "b", "c"]
    assert column.tolist()[:3] == ["a", "b", "c"]
    assert pd.isna(column.iloc[3])


def frame(values, **options) -> Records:
    return Records(pd.DataFrame({"c": values}), np.arange(len(values)) % 2, **options)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (Records(X, Y, ids=range(6)), Records(X, Y, ids=range(5, 11)), "unique ids, found 1 repeated, such as 5"),
        (Records(X, Y, ids=range(6)), Records(X, Y), "Expected ids for both sets of records or for neither"),
        (Records(X, Y), Records(X, Y, subjects=range(6)), "Expected subjects for both"),
        (Records(X, Y), Records(X, Y, classes=list("abc")), "same classes, found none and a, b, c; name the classes"),
        (Records(X, Y, classes=list("acb")), Records(X, Y, classes=list("abc")), "found a, c, b and a, b, c"),
        (Records(X, Y, groups={"a": Y}), Records(X, Y), "same groups, found a and"),
        (Records(X, Y, order={"a": Y}), Records(X, Y, order={"b": Y}), "same order columns, found a and b"),
        (Records(X, Y), frame(X[:, 0]), "one of each"),
        (Records(X, Y), Records(X[:, :1], Y), r"one shape, found \(2,\) and \(1,\)"),
        (
            Records(X.astype(np.uint8), Y),
            Records(X, Y),
            "one type, found uint8 and float64; images as bytes are scaled",
        ),
        (frame(X[:, 0]), Records(pd.DataFrame({"d": [1]}), [0]), "same input columns, found c and d"),
        (
            frame(pd.Categorical(["a", "b"], ordered=True)),
            frame(pd.Categorical(["a", "c"], ordered=True)),
            "categories of c that can be united",
        ),
        (frame(pd.Categorical(["a", "b"])), frame(pd.Categorical([1, 2])), "categories of c that can be united"),
    ],
)
def test_what_does_not_belong_together_is_refused(first, second, said):
    with pytest.raises(InputError, match=said) as caught:
        joined(first, second)
    assert "\n" not in str(caught.value)


# ------------------------------------------------------------------------------------------- digest


def test_a_digest_does_not_depend_on_whose_records_they_are_called():
    plain = Records(table(), Y)
    other = Records(
        table(index=list("uvwxyz")), Y, ids=range(6), subjects=range(6), groups={"g": Y}, order={"o": Y}, notes=("n",)
    )
    assert plain.digest == other.digest


def changed() -> dict[str, Records]:
    """One change each of the records of `table`, all of which a model could learn from."""
    t = table()
    categories = t["ward"].cat
    return {
        "nothing": Records(t, Y),
        "a number": Records(t.assign(age=t["age"].where(t["age"] != 3, 3.0000001)), Y),
        "a category": Records(t.assign(ward=t["ward"].where(t.index != 0, "b")), Y),
        "a text": Records(t.assign(drug=t["drug"].where(t.index != 0, "y")), Y),
        "missing text": Records(t.assign(drug=t["drug"].where(t.index != 0, None)), Y),
        "text that says nan": Records(t.assign(drug=t["drug"].fillna("nan")), Y),
        "a nullable number": Records(t.assign(dose=t["dose"].fillna(0)), Y),
        "float32": Records(t.astype({"age": np.float32}), Y),
        "no categories": Records(t.astype({"ward": object}), Y),
        "another unused category": Records(t.assign(ward=categories.rename_categories({"never": "ever"})), Y),
        "no unused category": Records(t.assign(ward=categories.remove_unused_categories()), Y),
        "other order of categories": Records(t.assign(ward=categories.reorder_categories(["b", "a", "c", "never"])), Y),
        "ordered categories": Records(t.assign(ward=categories.as_ordered()), Y),
        "a column's name": Records(t.rename(columns={"age": "Age"}), Y),
        "a column's name of another type": Records(t.rename(columns={"age": 0}), Y),
        "and as text": Records(t.rename(columns={"age": "0"}), Y),
        "order of columns": Records(t[["ward", "age", "drug", "dose"]], Y),
        "order of records": Records(t, Y).take([1, 0, 2, 3, 4, 5]),
        "a record less": Records(t, Y).take(range(5)),
        "a label": Records(t, [0, 1, 2, 1, 1, 1]),
        "more classes": Records(t, Y, classes=4),
        "class names": Records(t, Y, classes=list("abc")),
        "other class names": Records(t, Y, classes=list("abd")),
    }


def test_a_digest_tells_every_difference_a_model_could_learn():
    digests = {name: records.digest for name, records in changed().items()}
    assert len(set(digests.values())) == len(digests)
    assert Records(table(), Y).digest == digests["nothing"]


def test_a_digest_tells_type_shape_and_value_of_an_array():
    arrays = [X, X.astype(np.float32), X.astype(np.int64), X[:, ::-1], X + 1e-9, X.reshape(6, 2, 1), X.reshape(6, 1, 2)]
    assert len({Records(a, Y).digest for a in arrays}) == len(arrays)


def test_a_digest_tells_objects_apart_that_read_the_same():
    cells = [[None, "a"], ["None", "a"], [np.nan, "a"], ["nan", "a"], [1, "a"], ["1", "a"], [1.0, "a"], [pd.NA, "a"]]
    frames = [pd.DataFrame({"c": pd.Series(c, dtype=object)}) for c in cells]
    frames.append(pd.DataFrame({"c": pd.Series(["a ", "str 1 a"], dtype=object)}))
    assert len({Records(f, [0, 1]).digest for f in frames}) == len(frames)
    assert Records(frames[0].copy(), [0, 1]).digest == Records(frames[0], [0, 1]).digest


def test_columns_of_one_name_are_all_seen():
    t = pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"])
    other = pd.DataFrame([[0, 2], [3, 4]], columns=["a", "a"])
    assert Records(t, [0, 1]).digest != Records(other, [0, 1]).digest


def test_a_digest_does_not_depend_on_how_an_array_lies_in_memory():
    images = np.arange(6 * 4 * 4 * 3, dtype=np.uint8).reshape(6, 4, 4, 3)
    expected = Records(images, Y).digest
    assert Records(np.asfortranarray(images), Y).digest == expected
    assert Records(np.repeat(images, 2, axis=0)[::2], Y).digest == expected
    assert Records(X[:, :0], Y).digest != Records(X[:, :1], Y).digest


def test_a_digest_is_the_same_in_another_process():
    code = "from tests.core.test_records import changed\nprint(*(r.digest for r in changed().values()))\n"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert found == [r.digest for r in changed().values()]


def test_records_are_not_copied_and_a_digest_stays_what_it_was():
    x = X.copy()
    before = Records(x, Y)
    first = before.digest
    x[0, 0] = 99
    assert before.inputs[0, 0] == 99
    assert before.digest == first
    assert replace(before).digest != first  # whoever changed the array makes new records
    assert joined(before, before).digest == joined(replace(before), before).digest
