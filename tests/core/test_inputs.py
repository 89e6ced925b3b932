"""An input space says what inputs may be; what is out of it is named, moved in, or made ready for a model."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vestige.core.errors import InputError
from vestige.core.inputs import Encoding, InputSpace

TABLE = pd.DataFrame({"age": [30, 71], "blood": pd.Categorical(["A", "0"]), "dose": [0.5, 2.5]})
BLOOD = {"blood": ("0", "A", "B")}


@st.composite
def spaces_and_inputs(draw):
    numbers = st.floats(-1e4, 1e4)
    ends = draw(st.lists(st.tuples(numbers, numbers), min_size=3, max_size=3))
    low, high = [min(pair) for pair in ends], [max(pair) for pair in ends]
    dtype = draw(st.sampled_from(["float64", "float32"]))
    elements = st.floats(-1e5, 1e5, width=32)
    inputs = draw(hnp.arrays(dtype, st.tuples(st.integers(0, 5), st.just(3)), elements=elements))
    sides = draw(st.sampled_from(["both", "low", "high"]))
    return InputSpace(low=None if sides == "high" else low, high=None if sides == "low" else high), inputs


@given(spaces_and_inputs())
def test_what_was_clipped_is_within_and_is_clipped_to_itself(drawn):
    space, inputs = drawn
    before = inputs.copy()
    once = space.clipped(inputs)
    space.check(once)
    assert once.dtype == inputs.dtype
    np.testing.assert_array_equal(space.clipped(once), once)
    np.testing.assert_array_equal(inputs, before)


@given(hnp.arrays("uint8", st.tuples(st.integers(1, 4), st.integers(1, 3))), st.floats(-20, 120), st.floats(130, 300))
def test_whole_numbers_are_clipped_to_whole_numbers(inputs, low, high):
    space = InputSpace(low=low, high=high)
    once = space.clipped(inputs)
    space.check(once)
    assert once.dtype == np.uint8
    is_within = (inputs >= low) & (inputs <= high)
    np.testing.assert_array_equal(once[is_within], inputs[is_within])
    np.testing.assert_array_equal(space.clipped(once), once)


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=6), st.permutations("abc"))
def test_one_hot_columns_decode_to_the_categories(values, categories):
    table = pd.DataFrame({"x": np.arange(len(values)), "c": values})
    space = InputSpace(categories={"c": tuple(categories)}, encoding="one_hot")
    before = table.copy()
    found = space.prepared(table)
    pd.testing.assert_frame_equal(table, before)
    np.testing.assert_array_equal(found[:, 0], table["x"])
    np.testing.assert_array_equal(found[:, 1:].sum(axis=1), 1)
    assert [categories[k] for k in found[:, 1:].argmax(axis=1)] == values
    codes = InputSpace(categories={"c": tuple(categories)}, encoding=Encoding.CODES).prepared(table)
    np.testing.assert_array_equal(codes[:, 1], found[:, 1:].argmax(axis=1))


@given(hnp.arrays("float64", (2, 3), elements=st.floats(-100, 100)), st.floats(-10, 10), st.floats(0.1, 10))
def test_preparing_an_array_makes_a_new_one(inputs, mean, scale):
    before = inputs.copy()
    found = InputSpace(mean=mean, scale=scale).prepared(inputs)
    found[:] = 7
    np.testing.assert_array_equal(inputs, before)
    assert not np.shares_memory(InputSpace(low=0).prepared(inputs), inputs)


def test_normalised_inputs_are_float32_and_right():
    images = np.arange(2 * 3 * 2 * 2, dtype=np.uint8).reshape(2, 3, 2, 2)
    space = InputSpace(low=0, high=255, mean=np.array([1, 2, 3]).reshape(3, 1, 1), scale=2)
    space.check(images)
    found = space.prepared(images)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[1, 2], (images[1, 2] - 3.0) / 2)
    assert InputSpace(scale=2, dtype="float64").prepared(images).dtype == np.float64


def test_a_large_offset_costs_no_digits():
    found = InputSpace(mean=1e9).prepared(np.array([[1e9 + 0.25]]))
    assert found.tolist() == [[0.25]]


def test_a_dtype_alone_casts():
    found = InputSpace(dtype="uint8").prepared(np.array([[1.6, 254.9]]))
    assert found.dtype == np.uint8
    assert found.tolist() == [[2, 255]]
    for value in (256.0, -1.0, np.nan):
        with pytest.raises(InputError, match="fit the declared dtype uint8"):
            InputSpace(dtype="uint8").prepared(np.array([[value]]))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (300.0, r"in 0\.\.255 in inputs\[:, 1\], found 300 for record 12; give the records in the units"),
        (-1.0, r"found -1 for record 12"),
        (np.nan, r"found nan for record 12; fill it in"),
    ],
)
def test_a_value_out_of_range_is_named(value, said):
    inputs = np.full((3, 2), 7.0)
    inputs[1, 1] = value
    with pytest.raises(InputError, match=said):
        InputSpace(low=0, high=[255, 255]).check(inputs, first=10)


def test_the_record_is_right_beyond_the_first_block():
    inputs = np.zeros((1100, 1000), dtype=np.float32)
    inputs[1090, 3] = 2
    with pytest.raises(InputError, match=r"inputs\[:, 3\], found 2 for record 1,091"):
        InputSpace(high=1).check(inputs)


def test_rounding_is_within_a_range():
    inputs = np.array([[1.0000001]], dtype=np.float32)
    assert inputs[0, 0] > 1
    InputSpace(low=0, high=1).check(inputs)
    with pytest.raises(InputError, match=r"found 1\.000005"):
        InputSpace(low=0, high=1).check(np.array([[1.000005]]))


def test_a_feature_without_a_range_may_be_anything():
    inputs = np.array([[0.5, np.nan], [1.0, 1e30]])
    InputSpace(low=[0, -np.inf], high=[1, np.inf]).check(inputs)
    InputSpace(scale=2).check(inputs)


def test_columns_have_ranges_and_categories_of_their_own():
    space = InputSpace(low={"age": 0, "dose": 0}, high={"age": 70}, categories=BLOOD)
    with pytest.raises(InputError, match=r"in 0\.\.70 in column age, found 71 for record 2"):
        space.check(TABLE)
    clipped = space.clipped(TABLE)
    space.check(clipped)
    assert clipped["age"].tolist() == [30, 70]
    assert (clipped.dtypes == TABLE.dtypes).all()
    assert TABLE["age"].tolist() == [30, 71]


@pytest.mark.parametrize(("value", "said"), [("AB", "found 'AB' for record 2"), (None, "found a missing value for")])
def test_an_unknown_category_is_named(value, said):
    table = pd.DataFrame({"blood": ["A", value]})
    for ask in (InputSpace(categories=BLOOD).check, InputSpace(categories=BLOOD, encoding="codes").prepared):
        with pytest.raises(InputError, match=f"one of 0, A, B in column blood, {said}"):
            ask(table)


def test_a_missing_value_can_be_a_category():
    table = pd.DataFrame({"c": ["x", None, float("nan")]})
    space = InputSpace(categories={"c": (None, "x")}, encoding="codes")
    space.check(table)
    assert space.prepared(table).tolist() == [[1], [0], [0]]


def test_columns_are_encoded_in_their_order_and_normalised_after_that():
    space = InputSpace(categories=BLOOD, encoding="one_hot", mean=[30, 0, 0, 0, 0], scale=[1, 1, 1, 1, 0.5])
    found = space.prepared(TABLE)
    assert found.dtype == np.float32
    assert found.tolist() == [[0, 0, 1, 0, 1], [41, 1, 0, 0, 5]]


def test_a_table_that_stays_one_keeps_its_categories_and_is_cast():
    found = InputSpace(categories=BLOOD, dtype="float32").prepared(TABLE)
    assert found["blood"].dtype == TABLE["blood"].dtype
    assert found["age"].dtype == found["dose"].dtype == np.float32
    with pytest.raises(InputError, match="an array to normalise, found a DataFrame"):
        InputSpace(mean=1).prepared(TABLE)


def test_missing_numbers_of_pandas_types_stay_missing():
    table = pd.DataFrame({"n": pd.array([1, None, 9], dtype="Int64")})
    clipped = InputSpace(low={"n": 1.5}, high={"n": 5}).clipped(table)
    assert clipped["n"].dtype == "Int64"
    assert clipped["n"].tolist() == [2, pd.NA, 5]
    with pytest.raises(InputError, match="column n, found nan for record 2"):
        InputSpace(low={"n": 0}).check(table)


def test_bounds_that_are_not_declared_are_those_of_the_inputs():
    inputs = np.array([[1.0, np.nan, 5.0], [3.0, 2.0, 4.0]])
    low, high = InputSpace(low=[0, -np.inf, -np.inf]).bounds(inputs)
    assert low.tolist() == [0, 2, 4]
    assert high.tolist() == [3, 2, 5]
    assert InputSpace(low=0, high=255).bounds(inputs[:0])[1].tolist() == [255] * 3
    with pytest.raises(InputError, match="a record to take the ranges"):
        InputSpace(low=0).bounds(inputs[:0])


def test_bounds_of_a_table_are_per_column():
    low, high = InputSpace(low=0, high={"age": 120}, categories=BLOOD).bounds(TABLE)
    np.testing.assert_array_equal(low, [0, np.nan, 0])
    np.testing.assert_array_equal(high, [120, np.nan, 2.5])


def test_binary_features_hold_only_0_and_1():
    inputs = np.array([[0, 1, 0.5, np.nan], [1, 1, 1, 1]])
    assert InputSpace().is_binary(inputs).tolist() == [True, True, False, False]
    table = pd.DataFrame({"a": [0, 1], "b": [True, False], "c": ["0", "1"], "d": [0, 2]})
    assert InputSpace().is_binary(table).tolist() == [True, True, False, False]
    assert InputSpace().is_binary(np.zeros((2, 3, 4))).shape == (3, 4)


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"low": 2, "high": 1}, r"low not above high, found 2\.0 and 1\.0"),
        ({"low": {"age": 2}, "high": {"age": 1}}, "low of column age not above high"),
        ({"low": {"age": 2}, "high": [1, 2]}, "of the same kind"),
        ({"low": [0, 0], "high": [1, 1, 1]}, "low and high that fit one record"),
        ({"low": np.nan}, "finite numbers as low"),
        ({"low": np.inf}, "finite numbers as low"),
        ({"low": "zero"}, "an array of numbers as low, found 'zero'"),
        ({"low": {"age": [1, 2]}}, "one number as low of column age"),
        ({"scale": [1, 0]}, "nowhere 0"),
        ({"mean": np.inf}, "finite numbers as mean"),
        ({"dtype": "floaty"}, "a numpy type of numbers such as float32 as dtype, found floaty"),
        ({"dtype": "int64", "scale": 2}, "of fractions for normalised inputs, found int64"),
        ({"categories": {"c": ()}}, "distinct categories of column c"),
        ({"categories": {"c": ("x", "x")}}, "distinct categories of column c"),
        ({"categories": {"c": ("x",)}, "low": {"c": 0}}, "a range or categories of column c, found both"),
        ({"encoding": "hashing"}, "one of as_is, codes, one_hot as encoding, found 'hashing'"),
    ],
)
def test_a_space_that_contradicts_itself_is_refused(declared, said):
    with pytest.raises(InputError, match=said):
        InputSpace(**declared)


@pytest.mark.parametrize(
    ("space", "inputs", "said"),
    [
        (InputSpace(low=[0, 0]), np.zeros((2, 3)), r"low that fits one record's shape \(3,\), found shape \(2,\)"),
        (InputSpace(low={"a": 0}), np.zeros((2, 3)), "a DataFrame, for which low was declared"),
        (InputSpace(encoding="codes"), np.zeros((2, 3)), "a DataFrame, for which encoding was declared"),
        (InputSpace(low=0), np.array([["x"]]), "an array of numbers, found <U1"),
        (InputSpace(low=[0, 0, 0]), TABLE, "as numbers per column"),
        (InputSpace(low={"weight": 0}), TABLE, "found no column weight"),
        (InputSpace(low={"blood": 0}), TABLE, "numbers in column blood, found category"),
    ],
)
def test_inputs_of_another_kind_are_refused(space, inputs, said):
    for ask in (space.check, space.clipped):
        with pytest.raises(InputError, match=said):
            ask(inputs)


def test_a_column_of_text_is_not_encoded_unasked():
    with pytest.raises(InputError, match="column blood, found category; declare its categories"):
        InputSpace(encoding="codes").prepared(TABLE)


def test_a_range_without_a_value_of_the_type_is_refused():
    for low, high in ((0.2, 0.8), (300, 400), (-5, -3)):
        with pytest.raises(InputError, match="a range with a value of uint8 in it"):
            InputSpace(low=low, high=high).clipped(np.zeros((1, 1), dtype=np.uint8))


def test_equal_spaces_are_equal_and_their_text_holds_everything():
    long = np.arange(5000.0)
    assert InputSpace(low=long) == InputSpace(low=long.tolist())
    changed = long.copy()
    changed[2500] = 0
    assert repr(InputSpace(low=long)) != repr(InputSpace(low=changed))


def test_a_space_that_declares_nothing_says_so():
    assert InputSpace().declares_nothing
    for declared in ({"low": 0}, {"scale": 2}, {"dtype": "float32"}, {"categories": BLOOD}, {"encoding": "codes"}):
        assert not InputSpace(**declared).declares_nothing


def test_channels_are_put_first_after_all_that_is_in_the_records_layout():
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3)).astype(np.uint8)
    space = InputSpace(low=0, high=255, mean=(10, 20, 30), scale=255, channels_first=True)
    given = space.prepared(images)
    assert given.shape == (2, 3, 4, 5)
    expected = (images.astype(np.float32) - np.array([10, 20, 30], dtype=np.float32)) / np.float32(255)
    np.testing.assert_array_equal(given, expected.transpose(0, 3, 1, 2))
    assert InputSpace(channels_first=True).declares_nothing is False
    with pytest.raises(InputError, match=r"Expected images, .* found inputs of shape \(2, 3\); leave channels_first"):
        InputSpace(channels_first=True).prepared(np.ones((2, 3)))


@pytest.mark.parametrize(("dtype", "large"), [("float16", 1e5), ("float32", 1e300)])
def test_a_cast_makes_no_number_infinite(dtype, large):
    with pytest.raises(InputError, match=f"fit the declared dtype {dtype}, found larger ones"):
        InputSpace(dtype=dtype).prepared(np.array([[large, 1.0]]))
    assert np.isinf(InputSpace(dtype=dtype).prepared(np.array([[np.inf, 1.0]]))[0, 0])


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        (InputSpace(), True),
        (InputSpace(low=0, high=1, categories={"c": ("a", "b")}), True),
        (InputSpace(scale=255), False),
        (InputSpace(dtype="float32"), False),
        (InputSpace(encoding="codes"), False),
        (InputSpace(channels_first=True), False),
    ],
)
def test_a_range_alone_changes_nothing(space, expected):
    assert space.changes_nothing is expected
