import numpy as np
import pandas as pd
import pytest
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import MaxAbsScaler, OrdinalEncoder, StandardScaler
from tests.data.published import real
from tests.data.refusals import refused

from vestige.core.records import Records
from vestige.data.sets.uci import (
    MissingCategory,
    adult_choquette_choo,
    adult_watson,
    ordinal_watson,
    read_adult,
    read_german_credit,
    read_hepatitis,
)


def small(**columns):
    table = pd.DataFrame(columns)
    return Records(table, ["no", "yes"] * (len(table) // 2), ids=range(len(table)))


@pytest.fixture
def mixed():
    colours = pd.Categorical(["red", None, "blue", "red", "blue", "green"], ["blue", "green", "red"])
    return small(colour=colours, size=[1, 2, 3, 4, 5, 6], shape=pd.Categorical(list("xxyyxy")))


def test_p3_by_hand(mixed):
    inputs = adult_choquette_choo(mixed).inputs  # "?" and green are single
    np.testing.assert_array_equal(
        inputs,
        [  # size, blue, red, x, y
            [1, 0, 1, 1, 0],
            [2, 0, 0, 1, 0],
            [3, 1, 0, 0, 1],
            [4, 0, 1, 0, 1],
            [5, 1, 0, 1, 0],
            [6, 0, 0, 0, 1],
        ],
    )
    assert inputs.dtype == np.float32


def test_p3_with_and_without_a_bit_for_what_is_missing():
    records = small(colour=pd.Categorical([None, "blue", None, "blue"]))
    np.testing.assert_array_equal(adult_choquette_choo(records).inputs, [[1, 0], [0, 1], [1, 0], [0, 1]])
    without = adult_choquette_choo(records, missing=MissingCategory.NO_BIT)
    np.testing.assert_array_equal(without.inputs, [[0], [1], [0], [1]])


def test_p4_by_hand(mixed):
    inputs = adult_watson(mixed).inputs  # the two bits of shape are the last
    thirds, sixths = np.sqrt(2 / 9), np.sqrt(5 / 36)
    np.testing.assert_allclose(inputs[:, 0], (np.arange(6) - 2.5) / np.sqrt(35 / 12), rtol=1e-6)
    np.testing.assert_allclose(inputs[:, 1], (np.array([0, 0, 1, 0, 1, 0]) - 1 / 3) / thirds, rtol=1e-6)
    np.testing.assert_allclose(inputs[:, 2], (np.array([0, 0, 0, 0, 0, 1]) - 1 / 6) / sixths, rtol=1e-6)
    np.testing.assert_allclose(inputs[:, 3], (np.array([1, 0, 0, 1, 0, 0]) - 1 / 3) / thirds, rtol=1e-6)
    assert inputs.shape == (6, 4)


def test_ordinal_by_hand():
    grades = pd.Categorical(["b", None, "d", "b"], ["a", "b", "c", "d"])
    records = small(grade=grades, debt=[-4.0, 2.0, np.nan, 1.0], nothing=[0, 0, 0, 0])
    expected = [[1 / 3, -1, 0], [5 / 9, 0.5, 0], [1, -1 / 12, 0], [1 / 3, 0.25, 0]]
    np.testing.assert_allclose(ordinal_watson(records).inputs, expected, rtol=1e-6)


@pytest.mark.parametrize("prepare", [adult_choquette_choo, adult_watson, ordinal_watson])
def test_everything_but_the_inputs_stays(mixed, prepare):
    found = prepare(mixed)
    np.testing.assert_array_equal(found.labels, mixed.labels)
    np.testing.assert_array_equal(found.ids, mixed.ids)
    assert found.classes == mixed.classes == ("no", "yes")
    assert found.inputs.dtype == np.float32
    assert mixed.inputs.shape == (6, 3)


@pytest.mark.parametrize("prepare", [adult_choquette_choo, adult_watson, ordinal_watson])
def test_arrays_are_refused(prepare):
    refused(lambda: prepare(Records(np.eye(2), [0, 1])), "inputs are a table, found an array of (2, 2)")


def test_a_column_without_values_is_refused():
    refused(lambda: ordinal_watson(small(a=[1.0, 2.0], b=[np.nan, np.nan])), "found none in b")


# ----------------------------------------------------------------------------------- real data


@pytest.fixture(scope="module")
def adult():
    return read_adult(real("uci/adult.data"), real("uci/adult.test"))


def plain_adult(**options):
    names = [str(i) for i in range(14)]
    options |= {"names": [*names, "y"], "skipinitialspace": True}
    return [
        pd.read_csv(real(f"uci/{name}"), skiprows=n_skipped, **options)[names]
        for name, n_skipped in (("adult.data", 0), ("adult.test", 1))
    ]


@pytest.mark.parametrize(
    ("missing", "options", "n_columns"),
    [(MissingCategory.CATEGORY, {}, 107), (MissingCategory.NO_BIT, {"na_values": "?"}, 104)],
)
def test_p3_is_what_the_one_hot_bits_of_both_files_have_in_common(adult, missing, options, n_columns):
    train, test = (pd.get_dummies(table) for table in plain_adult(**options))
    common = [name for name in train.columns if name in test.columns]
    expected = pd.concat([train[common], test[common]]).to_numpy(np.float32)
    found = adult_choquette_choo(adult, missing=missing).inputs
    assert found.shape == (48_842, n_columns)
    np.testing.assert_array_equal(found, expected)
    assert (found[:, :6].max(axis=0) > 1).all()
    assert set(np.unique(found[:, 6:])) == {0, 1}


def test_p4_adult_is_its_plain_twin(adult):
    dummies = pd.get_dummies(pd.concat(plain_adult(na_values="?")))
    assert [name.split("_")[-1] for name in dummies.columns[-2:]] == ["Vietnam", "Yugoslavia"]
    expected = StandardScaler().fit_transform(dummies.iloc[:, :-2].astype(float))
    found = adult_watson(adult).inputs
    assert found.shape == (48_842, 103)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_p4_german_credit_is_its_plain_twin():
    rows = [line.split()[:20] for line in real("uci/german.data").read_text().splitlines()]
    table = pd.DataFrame(rows)
    for at in range(20):
        if table[at].str.startswith("A").all():  # A43 -> 3: the value follows the attribute's number
            number = table[at].str.slice(len(f"A{at + 1}")).astype(int)
            table[at] = number - (0 if at in (2, 3) else 1)  # credit history and purpose count from 0
    expected = MaxAbsScaler().fit_transform(table.astype(float).to_numpy())
    found = ordinal_watson(read_german_credit(real("uci/german.data"))).inputs
    assert found.shape == (1_000, 20)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_p4_hepatitis_is_its_plain_twin():
    table = pd.read_csv(real("uci/hepatitis.data"), header=None, na_values="?").iloc[:, 1:]
    two_valued = [name for name in table.columns if set(table[name].dropna()) == {1, 2}]
    assert len(two_valued) == 13
    table[two_valued] = OrdinalEncoder().fit_transform(table[two_valued])
    expected = MaxAbsScaler().fit_transform(SimpleImputer().fit_transform(table.to_numpy(float)))
    found = ordinal_watson(read_hepatitis(real("uci/hepatitis.data"))).inputs
    assert found.shape == (155, 19)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
