"""Noise on labels: known rates, draws that depend on nothing but their keys, inputs that stay valid, exact costs."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from tests.signals.label_only_targets import Column, Linear

from vestige.core.errors import InputError, TargetError
from vestige.core.inputs import InputSpace
from vestige.core.targets import LabelTarget
from vestige.signals.label_only.agreement import agreement, prefix_counts
from vestige.signals.label_only.keyed_draws import KeyedDraws
from vestige.signals.label_only.noise import Noise, NoiseStrength, noise_labels

UNIT = InputSpace(low=-100, high=100)
BITS = np.random.default_rng(0).integers(0, 2, size=(20, 50)).astype(np.float32)
RECORDS = np.arange(20)


def ask(target, inputs, labels, strength, n_draws=100, seed=0, records=None, space=None, **options):
    records = np.arange(len(inputs)) if records is None else records
    return noise_labels(target, inputs, labels, records, space or InputSpace(), strength, n_draws, seed, **options)


def table():
    """A mixed table: a number in its own units, whole numbers, bits, categories as text and as a categorical."""
    n = 60
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "age": rng.integers(20, 70, size=n),
            "income": rng.normal(30_000, 5_000, size=n),
            "works": rng.integers(0, 2, size=n).astype(bool),
            "town": rng.choice(np.array(["Ay", "Be", "Ce"], dtype=object), size=n),
            "kind": pd.Categorical(rng.choice(["x", "y"], size=n), categories=["x", "y"]),
            "note": np.full(n, "free text", dtype=object),
        }
    )
    categories = {"town": ("Ay", "Be", "Ce"), "kind": ("x", "y", "z")}  # the column itself cannot hold z
    return frame, InputSpace(low={"age": 20, "income": 0}, high={"age": 70}, categories=categories)


# ---------------------------------------------------------------------------------- what is known


def test_the_share_of_correct_draws_is_the_normal_probability_of_staying_on_a_linear_model_s_side():
    target = Linear([0.6, 0.8], 0.0)
    distances = np.array([0.5, 1.0, 2.0])
    inputs = distances[:, None] * np.array([0.6, 0.8])
    correct = ask(target, inputs, np.ones(3, int), NoiseStrength(1.0, in_units=True), 20_000, space=UNIT)
    np.testing.assert_allclose(correct.mean(axis=1), stats.norm.cdf(distances), atol=4 * 0.5 / 20_000**0.5)
    # and so agreement, on the normal's own scale, is the distance in standard deviations of the noise
    np.testing.assert_allclose(agreement(correct), distances, atol=0.07)


def test_noise_is_relative_to_each_feature_s_range_which_comes_from_the_data():
    inputs = np.column_stack([np.linspace(0, 1, 11), np.linspace(-500, 500, 11), np.full(11, 3.0)])
    noise = Noise(InputSpace(), inputs, NoiseStrength(0.02), seed=0)
    moved = noise.copies(inputs[5:6], np.array([5]), 0, 20_000)
    np.testing.assert_allclose(moved.std(axis=0), [0.02, 20.0, 0.0], rtol=0.03)
    np.testing.assert_allclose(moved.mean(axis=0), inputs[5], atol=1)


@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.int64, bool])
def test_bits_are_flipped_at_the_rate_that_is_asked_for_and_stay_bits(dtype):
    bits = BITS.astype(dtype)
    moved = Noise(InputSpace(), bits, NoiseStrength(flips=0.03), 0).copies(bits, RECORDS, 0, 500)
    assert moved.dtype == dtype
    assert set(np.unique(moved).tolist()) == {0, 1}
    flipped = moved.reshape(20, 500, 50) != bits[:, None]
    assert abs(flipped.mean() - 0.03) < 4 * (0.03 / flipped.size) ** 0.5
    per_feature = flipped.mean(axis=(0, 1))
    assert abs(per_feature - 0.03).max() < 5 * (0.03 / 10_000) ** 0.5
    together = (flipped[:, :, 0] & flipped[:, :, 1]).mean()  # independent of each other
    assert together < 0.003


def test_numbers_and_bits_of_one_array_are_each_moved_in_their_way():
    rng = np.random.default_rng(2)
    inputs = np.column_stack([rng.normal(40, 10, size=30), rng.integers(0, 2, size=(30, 5))])
    noise = Noise(InputSpace(), inputs, NoiseStrength(25.0, flips=0.2, in_units=True), 0)
    moved = noise.copies(inputs, np.arange(30), 0, 200)
    assert np.isin(moved[:, 1:], [0, 1]).all()
    assert abs((moved[:, 1:] != np.repeat(inputs[:, 1:], 200, axis=0)).mean() - 0.2) < 0.01
    assert inputs[:, 0].min() <= moved[:, 0].min() < moved[:, 0].max() <= inputs[:, 0].max()
    assert (moved[:, 0] != np.repeat(inputs[:, 0], 200)).mean() > 0.9  # at the ends of the range some stay


def test_images_of_bytes_stay_bytes_within_their_range():
    images = np.random.default_rng(3).integers(0, 256, size=(4, 5, 5, 3), dtype=np.uint8)
    moved = Noise(InputSpace(low=0, high=255), images, NoiseStrength(0.1), 0).copies(images, np.arange(4), 0, 70)
    assert moved.dtype == np.uint8
    assert moved.shape == (280, 5, 5, 3)
    inner = np.repeat((images > 100) & (images < 150), 70, axis=0)
    difference = moved.astype(float) - np.repeat(images, 70, axis=0)
    assert abs(difference[inner].std() - 25.5) < 1.5
    assert abs(difference[inner].mean()) < 1.5


def test_copies_of_a_mixed_table_stay_in_their_space_and_their_types():
    frame, space = table()
    moved = Noise(space, frame, NoiseStrength(0.1, flips=0.25), 0).copies(frame, np.arange(60), 0, 50)
    space.check(moved)
    assert list(moved.dtypes) == list(frame.dtypes)
    assert len(moved) == 3000
    before = frame.iloc[np.repeat(np.arange(60), 50)].reset_index(drop=True)
    for name in ("works", "town", "kind"):
        assert abs((moved[name].astype(object) != before[name].astype(object)).mean() - 0.25) < 0.04
    assert (moved["note"] == before["note"]).all()
    assert abs((moved["age"] - before["age"]).std() - 5) < 1
    others = moved["town"][(before["town"] == "Be") & (moved["town"] != "Be")]
    assert abs((others == "Ay").mean() - 0.5) < 0.12
    encoded = InputSpace(categories=space.categories, encoding="one_hot").prepared(moved.drop(columns="note"))
    assert (encoded[:, 3:6].sum(axis=1) == 1).all()


def test_a_table_is_asked_about_and_answers_count():
    frame, space = table()
    target = Column("town", "Be")
    labels = (frame["town"] == "Be").to_numpy().astype(int)
    correct = ask(target, frame, labels, NoiseStrength(flips=0.3), 400, space=space, batch_size=700)
    is_be = labels == 1
    assert abs(correct[is_be].mean() - 0.7) < 0.03
    assert abs(correct[~is_be].mean() - 0.85) < 0.03  # of the two others, one is Be
    assert sum(map(len, target.queries)) == 24_000


# --------------------------------------------------------------------------------- keys of draws


def test_draws_depend_on_seed_record_and_number_alone():
    strength, labels = NoiseStrength(flips=0.1), np.zeros(20, int)
    whole = Linear(np.ones(50), 25.0)
    correct = ask(whole, BITS, labels, strength, 150)
    queries = whole.seen.reshape(20, 150, 50)
    for batch_size in (1, 7, 64, 149, 3000):
        again = Linear(np.ones(50), 25.0)
        np.testing.assert_array_equal(ask(again, BITS, labels, strength, 150, batch_size=batch_size), correct)
        np.testing.assert_array_equal(again.seen.reshape(20, 150, 50), queries)
        assert max(again.sizes) <= batch_size
    part, rows = Linear(np.ones(50), 25.0), np.array([17, 3])
    found = ask(part, BITS[rows], labels[rows], strength, 150, records=rows, pool=BITS)
    np.testing.assert_array_equal(found, correct[rows])
    np.testing.assert_array_equal(part.seen.reshape(2, 150, 50), queries[rows])
    other = Linear(np.ones(50), 25.0)
    ask(other, BITS, labels, strength, 150, seed=1)
    assert abs((other.seen != whole.seen).mean() - 0.18) < 0.01  # 2 p (1 - p): nothing in common
    assert abs((queries[0] != BITS[0])[:64].mean() - 0.1) < 0.02
    assert ((queries[0] != BITS[0]) != (queries[1] != BITS[1])).mean() > 0.15


@pytest.mark.parametrize("strength", [NoiseStrength(flips=0.1), NoiseStrength(0.3, flips=0.1)])
def test_fewer_draws_are_the_first_of_more(strength):
    inputs = np.column_stack([BITS, np.linspace(0, 1, 20)])
    labels = np.zeros(20, int)
    target = Linear(np.ones(51), 25.5)
    many = ask(target, inputs, labels, strength, 200)
    for n in (1, 63, 64, 65, 130):
        np.testing.assert_array_equal(ask(target, inputs, labels, strength, n), many[:, :n])
    counts = prefix_counts(many, [1, 64, 200])
    np.testing.assert_array_equal(counts, [many[:, :n].sum(axis=1) for n in (1, 64, 200)])


def test_streams_of_a_record_do_not_meet():
    draws = KeyedDraws(0, "x", lambda rng, n: rng.random((n, 4)))
    several = np.concatenate([draws.of(record, 0, 256) for record in range(5)])
    assert len(np.unique(several)) == several.size
    assert KeyedDraws(0, "y", lambda rng, n: rng.random((n, 4))).of(0, 0, 1)[0, 0] != several[0, 0]


def test_a_run_that_ended_in_the_middle_sends_the_same_again():
    class Dies(Linear):
        left = 300

        def labels(self, inputs, records):
            self.left -= len(inputs)
            if self.left < 0:
                raise TargetError("Expected an answer, found a dead server.")
            return super().labels(inputs, records)

    dying, whole = Dies(np.ones(50), 25.0), Linear(np.ones(50), 25.0)
    options = {"strength": NoiseStrength(flips=0.1), "n_draws": 40, "batch_size": 100}
    with pytest.raises(TargetError, match="dead server"):
        ask(dying, BITS, np.zeros(20, int), **options)
    ask(whole, BITS, np.zeros(20, int), **options)
    np.testing.assert_array_equal(dying.seen, whole.seen[: len(dying.seen)])


# ------------------------------------------------------------------------------------ what it costs


def test_every_draw_is_one_query_for_its_record_and_labels_are_all_that_is_needed():
    target = Linear(np.ones(50), 25.0)
    assert isinstance(target, LabelTarget)
    ask(target, BITS, np.zeros(20, int), NoiseStrength(flips=0.1), 33, records=RECORDS + 5, batch_size=100)
    assert np.bincount(target.records, minlength=25).tolist() == [0] * 5 + [33] * 20
    assert target.sizes == [99] * 6 + [66]


# ----------------------------------------------------------------------------------------- agreement


def test_agreement_is_finite_symmetric_and_rises_with_the_count():
    correct = np.arange(10) < np.arange(11)[:, None]
    found = agreement(correct)
    assert np.isfinite(found).all()
    assert (np.diff(found) > 0).all()
    np.testing.assert_allclose(found, -found[::-1], atol=1e-12)
    assert agreement(np.stack([correct, correct])).shape == (2, 11)


# -------------------------------------------------------------------------------------------- errors


def test_what_cannot_be_is_refused():
    target, labels = Linear(np.ones(50), 25.0), np.zeros(20, int)
    flips = NoiseStrength(flips=0.1)
    with pytest.raises(InputError, match=r"Expected a value in 0\.\.0\.5 in inputs"):
        ask(target, BITS, labels, flips, space=InputSpace(low=0, high=0.5))
    with pytest.raises(
        InputError, match=r"Expected noise that moves some feature, found gaussian 0\.1 and flips 0 for 50"
    ):
        ask(target, BITS, labels, NoiseStrength(0.1))
    for gaussian, share in ((-1.0, 0.0), (0.0, 1.5), (0.0, 0.0), (np.nan, 0.1)):
        with pytest.raises(InputError, match="Expected a standard deviation from 0 on and a probability"):
            NoiseStrength(gaussian, share)
    with pytest.raises(InputError, match="Expected a label and a number for each of 20 records, found 19 and 19"):
        ask(target, BITS, labels[:19], flips, records=RECORDS[:19])
    with pytest.raises(InputError, match="Expected at least 1 copy and 1 query per batch, found 0 and None"):
        ask(target, BITS, labels, flips, 0)
    with pytest.raises(InputError, match="Expected numbers of records from 0 on, found -1"):
        ask(target, BITS, labels, flips, records=RECORDS - 1)
    with pytest.raises(InputError, match="Expected at least 1 copy of each record, found none"):
        agreement(np.zeros((2, 0), bool))
    with pytest.raises(InputError, match=r"Expected numbers of copies in 1\.\.3, found \[4\]"):
        prefix_counts(np.ones((2, 3), bool), [4])
    assert not target.queries


def test_an_answer_of_another_length_is_refused():
    class Short(Linear):
        def labels(self, inputs, records):
            return super().labels(inputs, records)[:-1]

    with pytest.raises(TargetError, match="Expected a label for each of 2,000 queries, found an answer of shape"):
        ask(Short(np.ones(50), 25.0), BITS, np.zeros(20, int), NoiseStrength(flips=0.1))
