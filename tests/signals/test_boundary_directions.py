"""Directions that records share: uniform on the sphere, uncorrelated, and gradients from them without bias."""

import numpy as np
import pytest
from tests.signals.boundaries import linear

from vestige.signals.boundary.directions import DirectionBank, keyed_uniform, keyed_words, shared_bank
from vestige.signals.boundary.hop_skip_jump import _gradients
from vestige.signals.boundary.search import Search, Settings

KINDS = pytest.mark.parametrize("orthogonal", [True, False])


def test_numbers_depend_on_their_record_and_step_alone():
    records = np.array([5, 0, 123_456_789])
    words = keyed_words(7, 1, records, 3, 6)
    assert words.dtype == np.uint64
    for i, record in enumerate(records):
        assert (keyed_words(7, 1, np.array([record]), np.array([3]), 4)[0] == words[i, :4]).all()
    others = [keyed_words(*key, 6) for key in ((8, 1, records, 3), (7, 2, records, 3), (7, 1, records, 4))]
    assert all((words != other).all() for other in others)


def test_numbers_are_uniform_and_neighbours_are_uncorrelated():
    numbers = keyed_uniform(0, 1, np.arange(400), 0, 400)
    n = numbers.size
    assert 0 <= numbers.min() < 1e-4
    assert 1 - 1e-4 < numbers.max() < 1
    assert abs(numbers.mean() - 0.5) < 4 / np.sqrt(12 * n)
    counts = np.bincount((numbers * 64).astype(int).ravel(), minlength=64)
    assert ((counts - n / 64) ** 2 / (n / 64)).sum() < 63 + 4 * np.sqrt(2 * 63)
    for a, b in ((numbers[1:], numbers[:-1]), (numbers[:, 1:], numbers[:, :-1])):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 4 / np.sqrt(a.size)
    bits = np.unpackbits(keyed_words(0, 1, np.arange(1_000), 0, 10).view(np.uint8), axis=1)
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 5 / np.sqrt(4 * 1_000)


@KINDS
@pytest.mark.parametrize("n_features", [1, 2, 5, 50, 600])
def test_rows_are_unit_directions_and_orthogonal_within_a_block(n_features, orthogonal):
    bank = DirectionBank(n_features, 0, np.float64, orthogonal=orthogonal)
    assert np.linalg.norm(bank.rows, axis=1) == pytest.approx(1)
    block = min(n_features, 512)
    products = bank.rows[:block] @ bank.rows[:block].T
    if orthogonal:
        assert products == pytest.approx(np.eye(block), abs=1e-10)
    else:
        assert n_features == 1 or np.abs(products - np.eye(block)).max() > 0.05
    first, signs = bank.draws(0, 1, np.arange(500), 0)
    assert set(np.unique(signs)) <= {-1.0, 1.0}
    assert first.min() >= 0
    assert first.max() + bank.piece <= len(bank.rows)
    assert (first % block == 0).all()
    with pytest.raises(ValueError, match="read-only"):
        bank.rows[0] = 0
    assert shared_bank(3, 0, "<f4", orthogonal) is shared_bank(3, 0, "<f4", orthogonal)


@KINDS
def test_directions_of_records_and_steps_are_uniform_and_uncorrelated_though_they_share_rows(orthogonal):
    d, n, n_banks = 6, 400, 25
    drawn: list[list[np.ndarray]] = [[], []]
    for seed in range(n_banks):
        bank = DirectionBank(d, seed, np.float64, orthogonal=orthogonal)
        for of_step, step in zip(drawn, (1, 2), strict=True):
            first, signs = bank.draws(seed, 2, np.arange(n), step)
            of_step.append(bank.rows[first] * signs)
    u, v = (np.concatenate(of_step) for of_step in drawn)
    error = 5 / np.sqrt(n * n_banks)
    for w in (u, v):
        assert np.abs(w.mean(axis=0)).max() < error / np.sqrt(d)
        assert w.T @ w / len(w) == pytest.approx(np.eye(d) / d, abs=2 * error / d)
        assert (w**4).mean() == pytest.approx(3 / (d * (d + 2)), rel=0.1)  # of a coordinate of a uniform direction
    for a, b in ((u, v), (u[1:], u[:-1])):  # two steps of a record; two records at a step
        assert np.abs(a.T @ b / len(a)).max() < 2 * error / d


@KINDS
@pytest.mark.parametrize("n_features", [3, 40])
def test_gradients_from_shared_directions_are_without_bias(n_features, orthogonal):
    """The mean of the estimates over banks points along the normal, within its standard error over banks."""
    n, n_banks = 40, 40
    target, x, _, _ = linear(n_features, 4)
    boundary = np.repeat(x[:1] - (x[0] @ target.normal + target.offset) * target.normal, n, axis=0)
    means, products = [], []
    for seed in range(n_banks):
        search = _search(target, boundary, seed)
        bank = DirectionBank(n_features, seed, np.float64, orthogonal=orthogonal)
        estimates = _gradients(search, bank, np.arange(n), np.full(n, 30), np.full(n, 0.1), 1)
        assert np.linalg.norm(estimates, axis=1) == pytest.approx(1)
        along = estimates @ target.normal
        assert along.mean() > (0.5 if n_features == 40 else 0.9)
        across = estimates - along[:, None] * target.normal
        means.append(across.mean(axis=0))
        products.append(np.einsum("ij,ij->i", across[1:], across[:-1]).mean())
    errors = np.std(means, axis=0) / np.sqrt(n_banks)
    assert (np.abs(np.mean(means, axis=0)) < 4.5 * errors + 1e-12).all()
    # Errors of two records have nothing to do with each other, though they read the same rows.
    assert abs(np.mean(products)) < 4.5 * np.std(products) / np.sqrt(n_banks)


def _search(target, points, seed):
    n, d = points.shape
    bounds = np.full(d, -9.0), np.full(d, 9.0)
    settings = Settings(n_queries=10_000, seed=seed, n_draws=1, signed=False, budgets=(50,))
    search = Search(target, points, np.zeros(n, dtype=int), np.arange(n), bounds, np.dtype(float), settings)
    search.move(np.arange(n), points)
    return search


def test_a_step_of_more_directions_than_a_bank_has_reads_it_with_other_signs():
    target, x, _, _ = linear(8, 3)
    search = _search(target, x - (x @ target.normal + target.offset)[:, None] * target.normal, 0)
    bank = DirectionBank(8, 0, np.float64, orthogonal=True)
    bank.piece = 16
    counts = np.array([100, 37, 16])
    estimates = _gradients(search, bank, np.arange(3), counts, np.full(3, 0.1), 1)
    assert search.n_used.tolist() == counts.tolist()
    assert len(set(target.asked)) == counts.sum()
    assert (estimates @ target.normal > 0.7).all()
