"""Privacy score, against its double loop and a closed form."""

from statistics import fmean, pstdev

import numpy as np
import pytest

from vestige.core.errors import InputError
from vestige.data.sets.designs import complementary_pairs
from vestige.signals.privacy_score import privacy_score


def drawn(n_models=12, n_records=30, seed=0):
    rng = np.random.default_rng(seed)
    is_in = complementary_pairs(n_models, n_records, seed=seed)
    return rng.normal(size=is_in.shape) + is_in * np.linspace(0, 3, n_records), is_in


@pytest.mark.parametrize("min_std", [1e-3, 1.1])
def test_it_equals_the_double_loop(min_std):
    signal, is_in = drawn()
    is_in[2:5, 7] = True  # more models on one side than on the other
    expected = []
    for j in range(30):
        ins = [signal[i, j] for i in range(12) if is_in[i, j]]
        outs = [signal[i, j] for i in range(12) if not is_in[i, j]]
        spread = max(pstdev(ins), min_std) + max(pstdev(outs), min_std)
        expected.append(abs(fmean(ins) - fmean(outs)) / spread)
    np.testing.assert_allclose(privacy_score(signal, is_in, min_std=min_std), expected, rtol=1e-10)


def test_known_gaussians_a_shift_of_the_unit_and_swapped_sides():
    signal = np.array([[4.0], [6.0], [-1.0], [1.0]])
    is_in = np.array([[True], [True], [False], [False]])
    assert privacy_score(signal, is_in).tolist() == [2.5]
    assert privacy_score(-3 * signal + 7, ~is_in).tolist() == [2.5]


def test_records_that_move_more_score_higher():
    scores = privacy_score(*drawn(200))
    assert scores[:10].max() < scores[20:].min()


def test_order_does_not_matter():
    signal, is_in = drawn()
    rng = np.random.default_rng(1)
    models, records = rng.permutation(12), rng.permutation(30)
    expected = privacy_score(signal, is_in)
    np.testing.assert_allclose(privacy_score(signal[models], is_in[models]), expected, rtol=1e-12)
    np.testing.assert_allclose(privacy_score(signal[:, records], is_in[:, records]), expected[records], rtol=1e-12)


def test_models_that_agree_to_the_last_digit_give_a_finite_score():
    is_in = np.array([[True], [True], [False], [False]])
    assert privacy_score(np.full((4, 1), 103.6), is_in).tolist() == [0.0]
    assert privacy_score(np.array([[1.0], [1.0], [0.0], [0.0]]), is_in, min_std=0.25).tolist() == [2.0]


def test_float32_is_worked_on_in_float64():
    signal, is_in = drawn()
    found = privacy_score(signal.astype(np.float32), is_in)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, privacy_score(signal.astype(np.float32).astype(np.float64), is_in))


def test_two_models_on_each_side_and_finite_signals_are_needed():
    signal, is_in = drawn()
    is_in[:, 3] = np.arange(12) < 1
    with pytest.raises(InputError, match=r"at least 2 models .* found 1 on one side for record 4; train more models"):
        privacy_score(signal, is_in)
    signal[0, 0] = np.nan
    with pytest.raises(InputError, match="finite signal of every model, found NaN or infinity; leave that model out"):
        privacy_score(signal, is_in)
