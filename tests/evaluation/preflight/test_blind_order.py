import datetime

import numpy as np
import pandas as pd
import pytest

from vestige.core.errors import InputError
from vestige.core.result import Validity
from vestige.evaluation.preflight import blind_order

DAYS = np.datetime64("2023-01-01") + np.arange(300)
OLD_ARE_MEMBERS = np.arange(300) < 150
RANDOM = np.random.default_rng(0).permutation(300) < 150


@pytest.mark.parametrize(
    "values",
    [
        np.arange(300),
        np.arange(300.0) - 1e12,
        DAYS,
        DAYS.astype(str),
        DAYS.astype("datetime64[ns]"),
        np.array([f"{d}T12:00:00Z" for d in DAYS]),
        np.array([str(k) for k in range(300)]),
        pd.Series(DAYS),
        np.array([d.astype(datetime.date) for d in DAYS], dtype=object),
        [str(d) for d in DAYS],
    ],
)
def test_a_split_by_time_confounds_however_time_is_written(values):
    (check,) = blind_order({"visit": values}, OLD_ARE_MEMBERS, None)
    assert check.validity is Validity.CONFOUNDED
    assert check.name == "blind_order: visit"
    assert "members come earlier than nonmembers in 100.0% of all pairs" in check.message
    assert "one pool" in check.remedy
    (check,) = blind_order({"visit": values}, RANDOM, None)
    assert check.validity is Validity.VALID
    assert check.remedy == ""


def test_members_from_the_middle_of_the_year_are_seen():
    middle = (np.arange(300) >= 75) & (np.arange(300) < 225)
    (check,) = blind_order({"visit": DAYS}, middle, None)
    assert check.validity is Validity.CONFOUNDED
    assert "the sides' distributions differ by up to 50.0 points" in check.message


def test_a_weak_trend_is_limited():
    rng = np.random.default_rng(0)
    times, member = rng.normal(size=4000), np.arange(4000) < 2000
    (check,) = blind_order({"t": times + 0.15 * member}, member, None)
    assert check.validity is Validity.LIMITED


def test_every_column_is_judged_and_they_share_the_level():
    rng = np.random.default_rng(0)
    columns = {f"t{k}": rng.normal(size=300) for k in range(20)}
    checks = blind_order(columns | {"visit": DAYS}, OLD_ARE_MEMBERS, None)
    assert len(checks) == 21
    assert [c.name for c in checks if c.validity is not Validity.VALID] == ["blind_order: visit"]


def test_no_column_no_check():
    assert blind_order({}, RANDOM, None) == []


def test_a_constant_column_is_valid():
    (check,) = blind_order({"year": np.full(300, 2024)}, RANDOM, None)
    assert check.validity is Validity.VALID


def test_records_of_a_subject_count_once():
    rng = np.random.default_rng(0)
    flagged = 0
    for _ in range(200):
        side = rng.permutation(np.arange(30) < 15)
        number = np.repeat(np.arange(30), 30)
        (check,) = blind_order({"t": rng.normal(size=30)[number]}, side[number], number)
        flagged += check.validity is not Validity.VALID
    assert flagged / 200 <= 0.01 + 3 * np.sqrt(0.01 / 200)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array(["2024-01-01"] * 299 + ["last week"]), "found 'last week'"),
        (np.arange(299), "shape"),
        (np.append(np.arange(299.0), np.nan), "1 missing"),
        (np.append(DAYS[:-1], np.datetime64("NaT")), "1 missing"),
    ],
)
def test_what_is_no_time_is_refused_by_name(values, message):
    with pytest.raises(InputError, match=message) as error:
        blind_order({"visit": values}, RANDOM, None)
    assert "'visit'" in str(error.value)
