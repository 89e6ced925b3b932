import csv
import gzip

import numpy as np
import pytest
from tests.data.published import cut, real
from tests.data.refusals import refused

from vestige.data.sets.uci import read_adult, read_german_credit, read_hepatitis

ADULT = (
    "39, State-gov, 77516, Bachelors, 13, Never-married, Adm-clerical, Not-in-family, White, Male, 2174, 0, 40, "
    "United-States, <=50K\n"
    "52, Private, 287927, HS-grad, 9, Married-civ-spouse, ?, Wife, White, Female, 15024, 0, 40, ?, >50K\n\n"
)
ADULT_TEST = (
    "|1x3 Cross validator\n"
    "25, ?, 226802, 11th, 7, Never-married, ?, Own-child, Black, Male, 0, 0, 40, United-States, <=50K.\n"
    "44, Private, 160323, Some-college, 10, Divorced, Sales, Husband, Black, Male, 7688, 0, 40, Peru, >50K.\n\n"
)
GERMAN = (
    "A11 6 A34 A43 1169 A65 A75 4 A93 A101 4 A121 67 A143 A152 2 A173 1 A192 A201 1\n"
    "A12 48 A32 A410 5951 A61 A73 2 A92 A101 2 A121 22 A143 A152 1 A173 1 A191 A201 2\n"
)
HEPATITIS = (
    "2,30,2,1,2,2,2,2,1,2,2,2,2,2,1.00,85,18,4.0,?,1\n1,51,1,?,2,1,2,1,2,2,1,1,2,2,?,?,?,?,?,2"  # no last newline
)


def saved(path, text):
    path.write_text(text)
    return path


def test_adult_from_both_files(tmp_path):
    train = saved(tmp_path / "adult.data", ADULT)
    test = tmp_path / "adult.test.gz"
    test.write_bytes(gzip.compress(ADULT_TEST.encode()))
    records = read_adult(train, test)
    table = records.inputs
    assert table.shape == (4, 14)
    assert [str(t) for t in table.dtypes].count("category") == 8
    assert table["age"].dtype == np.int64
    assert table["capital-gain"].tolist() == [2174, 15024, 0, 7688]
    assert list(table["workclass"].cat.categories) == ["Private", "State-gov"]
    assert table["workclass"].isna().tolist() == [False, False, True, False]
    assert table["native-country"].astype(object).where(table["native-country"].notna(), None).tolist() == [
        *("United-States", None, "United-States", "Peru")
    ]
    assert records.classes == ("<=50K", ">50K")
    assert records.labels.tolist() == [0, 1, 0, 1]
    assert records.ids.tolist() == ["adult.data/0", "adult.data/1", "adult.test/0", "adult.test/1"]
    assert read_adult(train).n_records == 2


@pytest.mark.parametrize("bad", ["2", "0"])
def test_german_credit(tmp_path, bad):
    text = GERMAN if bad == "2" else GERMAN.replace("A201 2\n", "A201 0\n")
    records = read_german_credit(saved(tmp_path / "german.data", text))
    assert records.inputs.shape == (2, 20)
    assert records.classes == ("bad", "good")
    assert records.labels.tolist() == [1, 0]
    assert records.inputs["amount"].tolist() == [1169, 5951]
    purpose = records.inputs["purpose"]
    assert purpose.tolist() == ["A43", "A410"]
    assert purpose.cat.codes.tolist() == [3, 10]  # A47, which never occurs, has a place too
    assert records.ids.tolist() == [0, 1]


def test_hepatitis(tmp_path):
    records = read_hepatitis(saved(tmp_path / "hepatitis.data", HEPATITIS))
    assert records.inputs.shape == (2, 19)
    assert records.classes == ("die", "live")
    assert records.labels.tolist() == [1, 0]
    assert records.inputs["sex"].tolist() == ["2", "1"]
    assert records.inputs["steroid"].isna().tolist() == [False, True]
    np.testing.assert_array_equal(records.inputs["bilirubin"], [1.0, np.nan])
    assert records.inputs.columns[-1] == "histology"


def test_lines_of_another_form_are_named(tmp_path):
    def adult(old, new):
        return lambda: read_adult(saved(tmp_path / "adult.data", ADULT.replace(old, new)))

    refused(adult(", <=50K", ""), "adult.data: Expected 15 fields (age, workclass, fnlwgt", "found 14 in line 1;")
    refused(adult("287927", "many"), "Expected a number as fnlwgt, found 'many' in line 2;")
    refused(adult("287927", "?"), "Expected a number as fnlwgt, found '?' in line 2;")
    refused(adult("287927", "9" * 30), "Expected a number as fnlwgt")
    refused(adult(">50K", "rich"), "Expected one of <=50K, <=50K., >50K, >50K. as income, found 'rich' in line 2;")

    def german(old, new):
        return lambda: read_german_credit(saved(tmp_path / "german.data", GERMAN.replace(old, new)))

    refused(german("A410", "A411"), "german.data: Expected one of A40", "as purpose, found 'A411' in line 2;", "UCI")
    refused(german("A201 2", "A201 3"), "as risk, found '3' in line 2;")
    refused(lambda: read_hepatitis(tmp_path / "german.data"), "Expected 20 fields", "found 1 in line 1;")
    path = saved(tmp_path / "hepatitis.data", HEPATITIS.replace("1.00", "inf"))
    refused(lambda: read_hepatitis(path), "Expected a number as bilirubin, found 'inf' in line 1;")
    path = saved(tmp_path / "hepatitis.data", HEPATITIS.replace("1.00", "1,00"))
    refused(lambda: read_hepatitis(path), "found 21 in line 1;")
    refused(lambda: read_hepatitis(saved(path, HEPATITIS.replace("2,30,2", "2,30,3"))), "as sex, found '3' in line 1;")


def test_one_file_given_twice_is_refused(tmp_path):
    path = saved(tmp_path / "adult.data", ADULT)
    refused(lambda: read_adult(path, path), "Expected unique ids", "adult.data/0")


def test_files_that_are_missing_empty_or_damaged(tmp_path):
    refused(lambda: read_adult(tmp_path / "no.data"), "no.data", "found none there")
    refused(lambda: read_adult(saved(tmp_path / "adult.data", "\n|x\n")), "adult.data", "found none; download")
    path = saved(tmp_path / "adult.data", ADULT)
    refused(lambda: read_adult(path, saved(tmp_path / "adult.test", ADULT_TEST[:-30])), "adult.test", "in line 3;")
    packed = tmp_path / "a.gz"
    packed.write_bytes(gzip.compress(ADULT.encode()))
    refused(lambda: read_adult(cut(packed, 5)), "a.gz: Expected a whole gzip file")


def plain_rows(path, n_fields, delimiter=","):
    rows = [[c.strip() for c in row] for row in csv.reader(path.read_text().splitlines(), delimiter=delimiter)]
    return [row for row in rows if len(row) == n_fields]


def test_the_real_adult():
    folder = real("uci")
    records = read_adult(folder / "adult.data", folder / "adult.test")
    rows = [row for name in ("adult.data", "adult.test") for row in plain_rows(folder / name, 15)]
    assert records.n_records == len(rows) == 48_842
    assert records.labels.tolist() == [row[-1].startswith(">50K") for row in rows]
    assert sum(i.startswith("adult.data/") for i in records.ids.tolist()) == 32_561
    for at, name in enumerate(records.inputs.columns):
        written = [row[at] for row in rows]
        column = records.inputs[name]
        if column.dtype == np.int64:
            assert column.tolist() == [int(v) for v in written]
        else:
            assert column.astype(object).where(column.notna(), "?").tolist() == written


def test_the_real_german_credit():
    path = real("uci/german.data")
    records = read_german_credit(path)
    rows = plain_rows(path, 21, " ")
    assert records.inputs.shape == (1_000, 20)
    assert np.bincount(records.labels).tolist() == [300, 700]
    assert records.labels.tolist() == [row[-1] == "1" for row in rows]
    assert records.inputs.astype(str).to_numpy().tolist() == [row[:-1] for row in rows]


def test_the_real_hepatitis():
    path = real("uci/hepatitis.data")
    records = read_hepatitis(path)
    rows = plain_rows(path, 20)
    assert records.inputs.shape == (155, 19)
    assert np.bincount(records.labels).tolist() == [32, 123]
    assert records.labels.tolist() == [int(row[0]) - 1 for row in rows]
    assert int(records.inputs.isna().sum().sum()) == sum(row.count("?") for row in rows) == 167
    assert records.inputs["albumin"].dropna().tolist() == [float(row[17]) for row in rows if row[17] != "?"]
