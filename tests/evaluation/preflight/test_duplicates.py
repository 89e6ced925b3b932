import time
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vestige.core.result import Validity
from vestige.evaluation.preflight import duplicates, row_hashes


def naive_counts(rows, member):
    """The same by Python's own equality, record by record."""

    def key(row):
        return tuple("nan" if v is None or v != v else v for v in row)

    keys = [key(row) for row in rows]
    of_members = {k for k, m in zip(keys, member, strict=True) if m}
    across = sum(k in of_members for k, m in zip(keys, member, strict=True) if not m)
    counts = Counter(keys)
    return across, sum(counts[k] > 1 for k in keys)


def counted(checks):
    return tuple(int(c.message.split(" of ")[0].replace(",", "")) for c in checks)


VALUES = {
    "float": st.sampled_from([0.0, -0.0, 1.0, float("nan"), float("inf"), 1e-300]),
    "int": st.integers(-2, 2),
    "text": st.sampled_from(["a", "b", "", None]),
}


@pytest.mark.parametrize("kind", VALUES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_agrees_with_the_naive_twin(kind, data):
    n, width = data.draw(st.integers(2, 12)), data.draw(st.integers(1, 3))
    rows = data.draw(st.lists(st.lists(VALUES[kind], min_size=width, max_size=width), min_size=n, max_size=n))
    member = np.array([True, False, *data.draw(st.lists(st.booleans(), min_size=n - 2, max_size=n - 2))])
    expected = naive_counts(rows, member)
    array = np.array(rows, dtype=object if kind == "text" else None)
    assert counted(duplicates(array, member, None)) == expected
    assert counted(duplicates(pd.DataFrame(rows), member, None)) == expected


def test_frames_of_mixed_columns_agree_with_the_naive_twin():
    rng = np.random.default_rng(0)
    n = 400
    frame = pd.DataFrame(
        {
            "a": rng.integers(0, 3, n),
            "b": rng.choice([0.0, -0.0, np.nan], n),
            "c": pd.Categorical(rng.choice(["x", "y"], n)),
            "d": rng.choice(np.array(["2024-01-01", "2024-01-02", "NaT"], dtype="datetime64[D]"), n),
            "e": pd.array(rng.choice([1, 2], n), dtype="Int64"),
            "f": [[k] for k in rng.integers(0, 2, n)],
        }
    )
    member = rng.random(n) < 0.5
    rows = [
        [repr(v) if isinstance(v, list) else (None if v is pd.NaT else v) for v in row]
        for row in frame.itertuples(index=False)
    ]
    assert counted(duplicates(frame, member, None)) == naive_counts(rows, member)


def test_images_of_bytes():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, size=(200, 8, 8, 3), dtype=np.uint8)
    images[150] = images[3]
    assert counted(duplicates(images, np.arange(200) < 100, None)) == (1, 2)


def test_columns_are_not_interchangeable():
    a, b = row_hashes(np.array([[1.0, 2.0], [2.0, 1.0]]))
    assert a != b


def test_members_in_all_but_name_limit():
    rng = np.random.default_rng(0)
    inputs, member = rng.normal(size=(1000, 4)), np.arange(1000) < 500
    inputs[500:512] = inputs[:12]
    across, repeated = duplicates(inputs, member, None)
    assert across.validity is Validity.LIMITED
    assert across.message.startswith("12 of 500 nonmembers (2.4%)")
    assert "more than relabelled sides would give" in across.message
    assert "one record of each" in across.remedy
    assert repeated.validity is Validity.VALID


@pytest.mark.parametrize("copied", [0.3, 1.0])
@pytest.mark.parametrize("n_nonmembers", [150, 500])
def test_copies_on_the_other_side_limit_and_a_file_of_copies_confounds(copied, n_nonmembers):
    rng = np.random.default_rng(0)
    inputs, member = rng.normal(size=(500 + n_nonmembers, 4)), np.arange(500 + n_nonmembers) < 500
    n_copied = int(copied * n_nonmembers)
    inputs[500 : 500 + n_copied] = inputs[rng.permutation(500)[:n_copied]]
    expected = Validity.CONFOUNDED if copied == 1 else Validity.LIMITED
    assert duplicates(inputs, member, None)[0].validity is expected


def test_a_copy_is_seen_among_natural_repeats():
    rng = np.random.default_rng(0)
    inputs, member = rng.integers(0, 20, size=(2000, 2)).astype(float), rng.permutation(2000) < 1000
    assert duplicates(inputs, member, None)[0].validity is Validity.VALID
    extra = rng.normal(size=(300, 2))
    inputs, member = np.concatenate([inputs, extra, extra]), np.concatenate([member, np.arange(600) < 300])
    assert duplicates(inputs, member, None)[0].validity is Validity.LIMITED


@pytest.mark.parametrize("table", ["three categories", "mixed", "a tenth repeated"])
def test_honest_splits_of_tables_with_repeats_are_valid(table):
    flagged = 0
    for seed in range(40):
        rng = np.random.default_rng([seed, len(table)])
        n = 600
        inputs: np.ndarray
        if table == "three categories":
            inputs = rng.integers(0, 3, size=(n, 1))
        elif table == "mixed":
            inputs = np.stack([rng.integers(0, 5, n), rng.integers(0, 8, n), rng.integers(18, 90, n)], axis=1)
        else:
            inputs = rng.normal(size=(n, 3))
            inputs[rng.permutation(n)[: n // 10]] = inputs[rng.integers(0, n, n // 10)]
        checks = duplicates(inputs, rng.permutation(n) < n // 2, None)
        flagged += any(check.validity is not Validity.VALID for check in checks)
    assert flagged <= 1  # 0.3 % of the splits


def test_subjects_are_dealt_whole():
    """Twins that visit together: each of a person's ten records matches one of the twin's, on the other side."""
    rng = np.random.default_rng(0)
    of_twins = np.tile(rng.normal(size=(4, 10, 3)), (1, 2, 1)).reshape(80, 3)
    inputs = np.concatenate([of_twins, rng.normal(size=(80, 3))])
    member = np.arange(160) // 10 % 2 == 0
    assert duplicates(inputs, member, None)[0].validity is Validity.LIMITED  # forty coincidences
    assert duplicates(inputs, member, np.arange(160) // 10)[0].validity is Validity.VALID  # four


def test_repeats_that_keep_to_one_side_limit_and_ask_for_the_subject():
    inputs = np.repeat(np.random.default_rng(0).normal(size=(100, 3)), 2, axis=0)
    member = np.arange(200) < 100
    across, repeated = duplicates(inputs, member, None)
    assert across.validity is Validity.VALID
    assert repeated.validity is Validity.LIMITED
    assert "200 of 200 records (100.0%)" in repeated.message
    assert "50 members and 50 nonmembers have inputs of their own" in repeated.message
    assert "no independent records" in repeated.message
    assert "--subject" in repeated.remedy
    assert len(duplicates(inputs, member, np.arange(200) // 2)) == 1


def test_a_million_records_take_seconds():
    inputs = np.random.default_rng(0).normal(size=(1_000_000, 20))
    start = time.process_time()
    duplicates(inputs, np.arange(1_000_000) % 2 == 0, None)
    assert time.process_time() - start < 6
