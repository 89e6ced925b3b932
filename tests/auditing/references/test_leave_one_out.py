"""Every model as the target in one reading, against the loop that deletes its row and its partner's."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vestige.attacks.lira import lira_online
from vestige.auditing.references.leave_one_out import leave_one_out, record_blocks
from vestige.core.errors import InputError
from vestige.core.likelihood_ratio import Variance
from vestige.data.sets.designs import complementary_pairs, rank_design
from vestige.evaluation.roc import roc

leave_one_out_pooled = partial(leave_one_out, variance=Variance.POOLED)
leave_one_out_per_record = partial(leave_one_out, variance=Variance.PER_RECORD)
BOTH = pytest.mark.parametrize(
    ("leave_one_out", "variance"),
    [(leave_one_out_pooled, Variance.POOLED), (leave_one_out_per_record, Variance.PER_RECORD)],
    ids=["pooled", "per record"],
)


def pairs(n_models):
    return np.arange(n_models) ^ 1


def drawn(n_models, n_records, *, seed=0, leak=1.0, design=complementary_pairs):
    rng = np.random.default_rng(seed)
    is_in = design(n_models, n_records, seed=seed)
    spread = np.exp(0.5 * rng.normal(size=n_records))
    return rng.normal(size=is_in.shape) * spread + 5 * rng.normal(size=n_records) + leak * is_in, is_in


def loop(shadow_phi, is_in, partner, variance, min_std=1e-3):
    """One target at a time, without its row and its partner's."""
    scores = []
    for target, other in enumerate(partner):
        kept = np.delete(np.arange(len(is_in)), [target] if other < 0 else [target, other])
        phi = shadow_phi[target].astype(np.float64)
        scores.append(lira_online(phi, shadow_phi[kept], is_in[kept], variance=variance, min_std=min_std))
    return np.array(scores)


def together(scored):
    """Blocks side by side, which must follow each other."""
    slices, scores = zip(*scored, strict=True)
    assert [s.start for s in slices] == [0, *(s.stop for s in slices[:-1])]
    assert [s.stop - s.start for s in slices] == [block.shape[1] for block in scores]
    return np.concatenate(scores, axis=1)


@BOTH
@pytest.mark.parametrize("n_models", [6, 8, 20])
@pytest.mark.parametrize("min_std", [1e-3, 1.2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_equal_the_loop_that_deletes_rows(leave_one_out, variance, n_models, min_std, dtype):
    shadow_phi, is_in = drawn(n_models, 50)
    shadow_phi = shadow_phi.astype(dtype)
    found = together(leave_one_out(record_blocks(shadow_phi, 16), is_in, pairs(n_models), min_std=min_std))
    assert found.dtype == np.float64
    expected = loop(shadow_phi, is_in, pairs(n_models), variance, min_std)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


def test_with_four_models_one_on_each_side_remains():
    shadow_phi, is_in = drawn(4, 30)
    found = together(leave_one_out_pooled(record_blocks(shadow_phi, 7), is_in, pairs(4), min_std=0.5))
    expected = loop(shadow_phi, is_in, pairs(4), Variance.POOLED, 0.5)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


@BOTH
@pytest.mark.parametrize("alone", [[], [2, 3], range(12)], ids=["chain", "two alone", "all alone"])
def test_any_design_and_any_partners(leave_one_out, variance, alone):
    """Partners on the same side for some records, on the other for others, or none."""
    rng = np.random.default_rng(1)
    is_in = rng.random((12, 40)) < np.linspace(0.4, 0.6, 40)
    is_in[:4], is_in[4:8] = True, False
    shadow_phi = rng.normal(size=is_in.shape) + is_in
    partner = np.roll(np.arange(12), -1)
    partner[list(alone)] = -1
    found = together(leave_one_out(record_blocks(shadow_phi, 11), is_in, partner))
    np.testing.assert_allclose(found, loop(shadow_phi, is_in, partner, variance), rtol=1e-10, atol=1e-10)


@BOTH
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    scale=st.sampled_from([1e-2, 1.0, 100.0]),
    level=st.sampled_from([0.0, 1e3]),
    n_pairs=st.integers(3, 8),
    n_records=st.integers(1, 20),
    size=st.integers(1, 25),
)
def test_whatever_the_scale_the_level_and_the_blocks(
    leave_one_out, variance, seed, scale, level, n_pairs, n_records, size
):
    rng = np.random.default_rng(seed)
    is_in = rng.random((n_pairs, n_records)) < 0.5
    is_in = np.repeat(is_in, 2, axis=0)
    is_in[1::2] = ~is_in[::2]
    shadow_phi = level + scale * rng.standard_t(2, size=is_in.shape)
    partner = pairs(2 * n_pairs)
    found = together(leave_one_out(record_blocks(shadow_phi, size), is_in, partner))
    expected = loop(shadow_phi - level, is_in, partner, variance)
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-7)


@BOTH
def test_one_model_that_outweighs_all_others_costs_no_digits(leave_one_out, variance):
    """Without it some millionth of the squares remains."""
    shadow_phi, is_in = drawn(10, 30)
    shadow_phi[3] = 1e4
    found = together(leave_one_out(record_blocks(shadow_phi), is_in, pairs(10)))
    expected = loop(shadow_phi, is_in, pairs(10), variance)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@BOTH
def test_models_that_agree_to_the_last_digit_give_finite_scores(leave_one_out, variance):
    _, is_in = drawn(8, 20)
    shadow_phi = np.full(is_in.shape, 103.6)
    assert (together(leave_one_out(record_blocks(shadow_phi), is_in, pairs(8))) == 0).all()


@BOTH
def test_the_size_of_blocks_does_not_matter(leave_one_out, variance):
    shadow_phi, is_in = drawn(8, 50)
    whole = together(leave_one_out(record_blocks(shadow_phi), is_in, pairs(8)))
    for size in (1, 7, 50, 1000):
        found = together(leave_one_out(record_blocks(shadow_phi, size), is_in, pairs(8)))
        np.testing.assert_allclose(found, whole, rtol=1e-10, atol=1e-10)


@BOTH
def test_the_order_of_models_and_records_does_not_matter(leave_one_out, variance):
    shadow_phi, is_in = drawn(10, 50)
    rng = np.random.default_rng(2)
    models, records = rng.permutation(10), rng.permutation(50)
    expected = together(leave_one_out(record_blocks(shadow_phi), is_in, pairs(10)))
    partner = np.argsort(models)[pairs(10)[models]]
    found = together(leave_one_out(record_blocks(shadow_phi[models]), is_in[models], partner))
    np.testing.assert_allclose(found, expected[models], rtol=1e-10, atol=1e-10)
    found = together(leave_one_out(record_blocks(shadow_phi[:, records]), is_in[:, records], pairs(10)))
    np.testing.assert_allclose(found, expected[:, records], rtol=1e-10, atol=1e-10)


@BOTH
def test_a_memory_map_is_read_as_it_is_and_left_alone(leave_one_out, variance, tmp_path):
    shadow_phi, is_in = drawn(8, 40)
    np.save(tmp_path / "phi.npy", shadow_phi.astype(np.float32))
    mapped = np.load(tmp_path / "phi.npy", mmap_mode="r")
    found = together(leave_one_out(record_blocks(mapped, 9), is_in, pairs(8)))
    expected = loop(shadow_phi.astype(np.float32), is_in, pairs(8), variance)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("leave_one_out", "n_readings"), [(leave_one_out_pooled, 2), (leave_one_out_per_record, 1)])
def test_answers_are_read_block_by_block_as_often_as_promised(leave_one_out, n_readings):
    shadow_phi, is_in = drawn(8, 40)
    read = []

    def blocks():
        for start in range(0, 40, 10):
            read.append(start)
            yield shadow_phi[:, start : start + 10]

    scored = leave_one_out(blocks, is_in, pairs(8))
    next(scored)
    assert len(read) == 4 * (n_readings - 1) + 1
    assert len(list(scored)) == 3
    assert read == [0, 10, 20, 30] * n_readings


# -------------------------------------------------------------------------------------------------------- the null


def aucs(scores, is_in):
    return [roc(row[member], row[~member]).auc for row, member in zip(scores, is_in, strict=True)]


@pytest.mark.parametrize(
    ("n_models", "leave_one_out"),
    [
        (4, leave_one_out_pooled),
        (8, leave_one_out_pooled),
        (8, leave_one_out_per_record),
        (16, leave_one_out_pooled),
        (16, leave_one_out_per_record),
    ],
)
def test_without_a_leak_every_target_is_at_chance(n_models, leave_one_out):
    means = []
    for seed in range(24):
        shadow_phi, is_in = drawn(n_models, 400, seed=seed, leak=0.0)
        scores = together(leave_one_out(record_blocks(shadow_phi), is_in, pairs(n_models)))
        means.append(np.mean(aucs(scores, is_in)))
    assert abs(np.mean(means) - 0.5) < 3 * np.std(means, ddof=1) / np.sqrt(len(means))
    assert np.std(means) < 0.02


@BOTH
@pytest.mark.parametrize("n_models", [8, 16])
def test_without_the_partner_the_null_tilts_as_measured(leave_one_out, variance, n_models):
    """.43 at 8 models and .49 at 16 for a variance of its own, and further for a design of exact halves."""
    means = []
    for seed in range(8):
        shadow_phi, is_in = drawn(n_models, 1000, seed=seed, leak=0.0, design=rank_design)
        scores = together(leave_one_out(record_blocks(shadow_phi), is_in, np.full(n_models, -1)))
        means.append(np.mean(aucs(scores, is_in)))
    assert np.mean(means) < 0.498


@pytest.mark.parametrize("n_models", [4, 8, 16])
def test_a_score_that_counts_in_models_is_at_chance_without_the_partner_and_tells_all_with_it(n_models):
    is_in = complementary_pairs(n_models, 300, seed=3)
    count = is_in.sum(axis=0)
    alone = [-(count - row) for row in is_in]
    assert set(aucs(np.array(alone, dtype=float), is_in)) == {1.0}
    apart = [-(count - row - other) for row, other in zip(is_in, is_in[pairs(n_models)], strict=True)]
    assert set(aucs(np.array(apart, dtype=float), is_in)) == {0.5}


@BOTH
def test_a_leak_points_at_each_target_s_members(leave_one_out, variance):
    shadow_phi, is_in = drawn(16, 500, leak=2.0)
    assert min(aucs(together(leave_one_out(record_blocks(shadow_phi), is_in, pairs(16))), is_in)) > 0.7


# ------------------------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("leave_one_out", "n_models", "n_in", "said"),
    [
        (leave_one_out_pooled, 2, 1, "at least 1 models .* found 0 on one side for record 1 with model 0 as the"),
        (leave_one_out_per_record, 8, 2, "at least 2 models .* found 0 on one side for record 3 with model 0"),
        (leave_one_out_pooled, 8, 1, "found 0 on one side for record 3 with model 0 as the target; train more models"),
        (leave_one_out_pooled, 8, 7, "found 0 on one side for record 3 with model 6 as the target"),
    ],
)
def test_models_must_remain_on_both_sides_and_it_is_said_before_anything_is_read(leave_one_out, n_models, n_in, said):
    is_in = complementary_pairs(n_models, 5, seed=0)
    is_in[:, 2] = np.arange(n_models) < n_in
    with pytest.raises(InputError, match=said):
        leave_one_out(lambda: pytest.fail("read"), is_in, pairs(n_models))


@pytest.mark.parametrize(("wrong", "said"), [(8, "found 8 for model 3"), (-2, "found -2"), (3, "found 3 for model 3")])
def test_partners_are_other_models(wrong, said):
    shadow_phi, is_in = drawn(8, 5)
    partner = pairs(8)
    partner[3] = wrong
    with pytest.raises(InputError, match=f"another of 8 models, counted from 0, as partner, or -1 for none, {said}"):
        leave_one_out_pooled(record_blocks(shadow_phi), is_in, partner)


@BOTH
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda phi: phi[:7], "of 8 models and 40 records, found 7 models up to record 16"),
        (lambda phi: phi[:, :33], "Expected phi of 40 records, found 33; give every record once"),
        (lambda phi: np.hstack([phi, phi]), "and 40 records, found 8 models up to record 48"),
        (lambda phi: np.where(np.arange(40) == 20, np.nan, phi), "found nan of model 0 for record 21; leave that"),
    ],
)
def test_blocks_hold_every_model_and_record_once(leave_one_out, variance, change, said):
    shadow_phi, is_in = drawn(8, 40)
    with pytest.raises(InputError, match=said):
        list(leave_one_out(record_blocks(change(shadow_phi), 16), is_in, pairs(8)))
