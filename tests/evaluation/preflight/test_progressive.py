import numpy as np
import pytest

from vestige.evaluation.preflight.per_unit import unit_members
from vestige.evaluation.preflight.progressive import deal_blocks, progressive_auc


def test_blocks_hold_both_sides_evenly():
    member = np.arange(100) < 30
    blocks = deal_blocks(member, np.random.default_rng(0))
    assert blocks is not None
    assert np.bincount(blocks[member]).tolist() == [5] * 6
    assert max(np.bincount(blocks[~member])) - min(np.bincount(blocks[~member])) <= 1


def test_a_guess_sees_only_what_came_before_and_subjects_whole():
    number = np.repeat(np.arange(60), 3)
    member = (np.arange(60) < 30)[number]
    blocks = deal_blocks(unit_members(member, number), np.random.default_rng(0))
    assert blocks is not None
    seen = []

    def score(learn, judge):
        assert not set(number[learn]) & set(number[judge])
        assert blocks[number[learn]].max() < blocks[number[judge]].min()
        seen.append(np.flatnonzero(judge))
        return np.zeros(np.count_nonzero(judge))

    assert progressive_auc(score, blocks, member, number).auc == 0.5
    assert np.unique(np.concatenate(seen)).size == np.count_nonzero(blocks[number] > 0)


@pytest.mark.parametrize("n", [50, 300])
def test_the_deviation_from_chance_has_the_variance_it_says(n):
    """Ordinary cross-fitting of this very guess has about twice the variance."""
    rng = np.random.default_rng(0)
    z = []
    for _ in range(800):
        member, x = rng.permutation(np.arange(n) < n // 2), rng.normal(size=(n, 10))
        blocks = deal_blocks(member, rng)
        assert blocks is not None

        def nearest_mean(learn, judge, x=x, member=member):
            return x[judge] @ (x[learn & member].mean(axis=0) - x[learn & ~member].mean(axis=0))

        test = progressive_auc(nearest_mean, blocks, member, np.arange(n))
        z.append((test.auc - 0.5) / np.sqrt(test.null_variance))
    assert abs(np.mean(z)) < 0.12
    assert 0.92 < np.std(z) < 1.08
