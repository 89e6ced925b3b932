import numpy as np
import pandas as pd
import pytest
from tests.evaluation.preflight.honest import honest_audit

from vestige.core.errors import InputError
from vestige.core.result import Validity
from vestige.evaluation.preflight import blind_inputs


def half(n, rng):
    return rng.permutation(np.arange(n) < n // 2)


def test_shifted_inputs_confound_and_the_message_has_the_numbers_and_the_cure():
    rng = np.random.default_rng(0)
    member = half(400, rng)
    inputs = rng.normal(size=(400, 5))
    inputs[:, 2] += member
    check = blind_inputs(inputs, rng.integers(0, 3, 400), member, None, seed=0)
    assert check.validity is Validity.CONFOUNDED
    assert "AUC of 0.7" in check.message
    assert "95% lower bound 0.6" in check.message
    assert "400 records" in check.message
    assert "one pool" in check.remedy
    assert "recipe" in check.remedy


def test_a_weak_shift_is_limited():
    rng = np.random.default_rng(3)
    member = half(4000, rng)
    inputs = rng.normal(size=(4000, 5))
    inputs[:, 2] += 0.2 * member
    assert blind_inputs(inputs, rng.integers(0, 3, 4000), member, None, seed=0).validity is Validity.LIMITED


def test_a_difference_only_trees_can_see():
    rng = np.random.default_rng(1)
    member = half(1000, rng)
    inputs = rng.normal(size=(1000, 3)) * np.where(member, 2.0, 1.0)[:, None]
    check = blind_inputs(inputs, np.zeros(1000, dtype=int), member, None, seed=0)
    assert check.validity is Validity.CONFOUNDED
    assert "trees" in check.message


def test_inputs_and_labels_together_give_membership_away():
    rng = np.random.default_rng(2)
    inputs, member = rng.normal(size=(1000, 2)), half(1000, rng)
    labels = ((inputs[:, 0] > 0) ^ (rng.random(1000) < 0.4 * ~member)).astype(np.int64)  # nonmembers' labels are noisy
    assert blind_inputs(inputs, labels, member, None, seed=0).validity is not Validity.VALID


@pytest.mark.parametrize("with_subjects", [False, True])
def test_an_honest_split_is_valid_and_says_so(with_subjects):
    audit = honest_audit(400, with_subjects, np.random.default_rng(0))
    check = blind_inputs(audit.inputs, audit.labels, audit.member, audit.units, seed=0)
    assert check.validity is Validity.VALID
    assert "p = " in check.message
    assert ("400 subjects" if with_subjects else "400 records") in check.message
    assert check.remedy == ""


def test_records_of_a_subject_do_not_pass_for_evidence():
    rng = np.random.default_rng(0)
    flagged = 0
    for _ in range(10):
        number = np.repeat(np.arange(40), 20)
        member = half(40, rng)[number]
        inputs = rng.normal(size=(40, 5))[number] + 0.1 * rng.normal(size=(800, 5))
        flagged += blind_inputs(inputs, np.zeros(800, int), member, number, seed=0).validity is not Validity.VALID
    assert flagged <= 1


def test_a_subject_on_both_sides_is_refused():
    with pytest.raises(InputError, match="1 on both sides"):
        blind_inputs(np.zeros((4, 1)), np.zeros(4, int), np.array([1, 0, 1, 0], bool), np.array([0, 0, 1, 2]), seed=0)


def test_frames_with_everything_in_them():
    rng = np.random.default_rng(0)
    n = 300
    member = half(n, rng)
    days = pd.Series(pd.date_range("2020-01-01", periods=n))
    frame = pd.DataFrame(
        {
            "number": rng.normal(size=n),
            "holes": pd.array([1, None, 3] * (n // 3), dtype="Int64"),
            "empty": [np.nan] * n,
            "nothing": [None] * n,
            "truth": pd.array([True, False, None] * (n // 3), dtype="boolean"),
            "category": pd.Categorical(rng.choice(["u", "v"], n)),
            "word": rng.choice(np.array(["x", "y", None], dtype=object), n),
            "text": [f"word{a} and word{b}" for a, b in rng.integers(0, 40, (n, 2))],
            "date": days,
            "iso": days.dt.strftime("%Y-%m-%d"),
            "lasts": pd.to_timedelta(np.arange(n), unit="D"),
            "lists": [["a"], ["b"], []] * (n // 3),
            "complex": [1 + 2j] * n,
            "huge": [1e300, np.inf, 1.0] * (n // 3),
        }
    )
    frame.index = pd.Index(np.arange(n)[::-1])  # rows go by position, whatever they are called
    labels = rng.integers(0, 2, n)
    assert blind_inputs(frame, labels, member, None, seed=0).validity is Validity.VALID
    frame["word"] = np.where(member & (rng.random(n) < 0.6), "z", "x")
    assert blind_inputs(frame, labels, member, None, seed=0).validity is Validity.CONFOUNDED


def test_text_that_only_members_have():
    rng = np.random.default_rng(0)
    member = half(1000, rng)
    words = np.array([f"w{k}" for k in range(30)])
    text = [" ".join(rng.choice(words, 6)) + (" new" if m and rng.random() < 0.5 else " old") for m in member]
    frame = pd.DataFrame({"text": text})
    assert blind_inputs(frame, np.zeros(1000, int), member, None, seed=0).validity is Validity.CONFOUNDED
    as_array = np.array(text)
    assert blind_inputs(as_array, np.zeros(1000, int), member, None, seed=0).validity is Validity.CONFOUNDED


def test_missing_values_that_only_members_have():
    rng = np.random.default_rng(0)
    member = half(400, rng)
    inputs = rng.normal(size=(400, 4))
    inputs[member & (rng.random(400) < 0.5), 1] = np.nan
    assert blind_inputs(inputs, np.zeros(400, int), member, None, seed=0).validity is Validity.CONFOUNDED


def test_brighter_images_among_the_members():
    rng = np.random.default_rng(0)
    member = half(600, rng)
    images = rng.integers(0, 200, size=(600, 16, 16, 3), dtype=np.uint8)
    assert blind_inputs(images, np.zeros(600, int), member, None, seed=0).validity is Validity.VALID
    images[member] += 10
    assert blind_inputs(images, np.zeros(600, int), member, None, seed=0).validity is Validity.CONFOUNDED


@pytest.mark.parametrize("shape", [(60,), (60, 0), (60, 1), (60, 5000)])
def test_odd_shapes(shape):
    rng = np.random.default_rng(0)
    check = blind_inputs(rng.normal(size=shape), np.arange(60) % 60, half(60, rng), None, seed=2**40)
    assert check.validity is Validity.VALID


def test_wide_frames_are_condensed():
    rng = np.random.default_rng(0)
    member = half(300, rng)
    frame = pd.DataFrame(rng.normal(size=(300, 1200)))
    assert blind_inputs(frame, np.zeros(300, int), member, None, seed=0).validity is Validity.VALID
    frame += member[:, None]
    assert blind_inputs(frame, np.zeros(300, int), member, None, seed=0).validity is Validity.CONFOUNDED


def test_too_few_records_are_said_to_be_too_few():
    member = np.array([True, True, True, False, False, False])
    assert "Too few" in blind_inputs(np.zeros((6, 2)), np.zeros(6, int), member, None, seed=0).message


def test_many_records_are_sampled_and_a_small_side_is_kept_whole():
    rng = np.random.default_rng(0)
    member = np.arange(60_000) < 500
    inputs = rng.normal(size=(60_000, 2)) + member[:, None]
    check = blind_inputs(inputs, np.zeros(60_000, int), member, None, seed=0)
    assert check.validity is Validity.CONFOUNDED
    assert "20,000 records" in check.message


def test_many_records_per_subject_are_thinned():
    rng = np.random.default_rng(0)
    number = np.repeat(np.arange(500), 200)
    member = half(500, rng)[number]
    inputs = rng.normal(size=(100_000, 2)) + member[:, None]
    check = blind_inputs(inputs, np.zeros(100_000, int), member, number + 17, seed=0)
    assert check.validity is Validity.CONFOUNDED
    assert "500 subjects" in check.message


def test_the_same_seed_gives_the_same_answer():
    audit = honest_audit(100, False, np.random.default_rng(0))
    first, second = (blind_inputs(audit.inputs, audit.labels, audit.member, None, seed=5) for _ in range(2))
    assert first == second
