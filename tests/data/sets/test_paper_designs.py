"""The papers' splits, against the numbers of specification 1.3."""

from dataclasses import fields

import numpy as np
import pytest
from tests.data.refusals import refused

from vestige.data.sets.paper_designs import (
    SongMittalData,
    choquette_choo_blocks,
    choquette_choo_swapped_blocks,
    choquette_choo_tabular,
    known_half,
    song_mittal_adversarial_regularisation,
    song_mittal_memguard,
    watson_quarters,
)


def permutation(data, seed=0):
    return np.random.default_rng(seed).permutation(data.value)


def sizes(split):
    return [int(getattr(split, f.name).sum()) for f in fields(split) if f.name != "defender"]


def test_the_known_half_is_drawn_as_the_published_code_draws_it():
    members, nonmembers = np.arange(100, 111), np.arange(500, 530)
    found = known_half(members, nonmembers)
    # By hand, in the order of the published steps: shuffle the members' places, then the nonmembers'.
    rng = np.random.RandomState(100)
    for side, known, attacked in (
        (members, found.known_members, found.attacked_members),
        (nonmembers[:11], found.known_nonmembers, found.attacked_nonmembers),
    ):
        places = np.arange(11)
        rng.shuffle(places)
        np.testing.assert_array_equal(known, side[places[:5]])
        np.testing.assert_array_equal(attacked, side[places[5:]])
    assert found.known_members.tolist() != known_half(members, nonmembers, seed=1).known_members.tolist()


@pytest.mark.parametrize(
    ("data", "n_members", "n_reference", "first_left"),
    [(SongMittalData.PURCHASE100, 19_732, 29_599, 78_929), (SongMittalData.TEXAS100, 10_000, 20_199, 30_199)],
)
def test_p1_adversarial_regularisation(data, n_members, n_reference, first_left):
    rows = permutation(data)
    split = song_mittal_adversarial_regularisation(data, rows)
    np.testing.assert_array_equal(split.members, rows[:n_members])
    np.testing.assert_array_equal(split.reference, rows[n_members:][:n_reference])
    np.testing.assert_array_equal(split.evaluation, rows[first_left:])
    half = known_half(split.members, split.evaluation)
    assert half.known_members.size + half.attacked_members.size == n_members
    assert half.attacked_nonmembers.size == half.attacked_members.size


@pytest.mark.parametrize(
    ("data", "n", "shadow_in", "shadow_out", "n_shadow"),
    [(SongMittalData.LOCATION30, 1_000, 3_000, 4_000, 500), (SongMittalData.TEXAS100, 10_000, 30_000, 35_000, 5_000)],
)
def test_p1_memguard(data, n, shadow_in, shadow_out, n_shadow):
    rows = permutation(data)
    split = song_mittal_memguard(data, rows)
    np.testing.assert_array_equal(split.members, rows[:n])
    np.testing.assert_array_equal(split.defender, rows[n : 2 * n])
    np.testing.assert_array_equal(split.nonmembers, rows[2 * n : 3 * n])
    np.testing.assert_array_equal(split.shadow_members, rows[shadow_in:][:n_shadow])
    np.testing.assert_array_equal(split.shadow_nonmembers, rows[shadow_out:][:n_shadow])


def test_p3_blocks_of_images():
    sets = choquette_choo_blocks(60_000, 10_000, defender=True)
    blocks = [sets.target_members, sets.target_nonmembers, sets.source_members, sets.source_nonmembers, *sets.defender]
    for i, block in enumerate(blocks):
        np.testing.assert_array_equal(np.flatnonzero(block), np.arange(10_000 * i, 10_000 * (i + 1)))
    assert choquette_choo_blocks(60_000, 2_500).defender == ()


def test_p3_roles_swapped_where_four_sets_do_not_fit():
    refused(
        lambda: choquette_choo_blocks(60_000, 30_000),
        "4 disjoint sets of 30,000",
        "15,000 at most",
        "choquette_choo_swapped_blocks",
    )
    sets = choquette_choo_swapped_blocks(60_000, 30_000)
    np.testing.assert_array_equal(np.flatnonzero(sets.target_members), np.arange(30_000))
    np.testing.assert_array_equal(sets.source_members, sets.target_nonmembers)
    np.testing.assert_array_equal(sets.source_nonmembers, sets.target_members)
    assert not (sets.target_members & sets.target_nonmembers).any()


def test_p3_tables():
    assert sizes(choquette_choo_tabular(48_842, 10_000, seed=1)) == [10_000] * 4
    assert sizes(choquette_choo_tabular(5_010, 1_600, seed=1)) == [1_600, 1_136, 1_136, 1_136]
    whose = np.repeat(np.arange(40), 3)
    sets = choquette_choo_tabular(120, 10, seed=1, subjects=whose)
    assert sizes(sets) == [30] * 4
    assert not set(whose[sets.target_members]) & set(whose[sets.source_members])
    refused(lambda: choquette_choo_tabular(10, 10, seed=1), "at most 10 records")


@pytest.mark.parametrize(
    ("pool", "quarter"), [(50_000, 12_500), (60_000, 15_000), (32_561, 8_140), (800, 200), (124, 31)]
)
def test_p4_quarters(pool, quarter):
    split = watson_quarters(pool, seed=2)
    assert sizes(split) == [quarter] * 4
    masks = np.array([split.public_members, split.public_nonmembers, split.members, split.nonmembers])
    assert masks.sum(axis=0).max() == 1
    assert (split.members != watson_quarters(pool, seed=3).members).any()


def test_p4_quarters_of_subjects():
    whose = np.repeat(np.arange(8), 5)
    split = watson_quarters(40, seed=0, subjects=whose)
    assert sizes(split) == [10] * 4
    refused(lambda: watson_quarters(3, seed=0), "1 or more records in every pool", "found 0")


def test_what_the_papers_did_not_do():
    refused(
        lambda: song_mittal_adversarial_regularisation(
            SongMittalData.LOCATION30, permutation(SongMittalData.LOCATION30)
        ),
        "PURCHASE100 or TEXAS100",
        "found LOCATION30",
    )
    twice = permutation(SongMittalData.LOCATION30)
    twice[0] = twice[1]
    refused(
        lambda: song_mittal_memguard(SongMittalData.LOCATION30, twice),
        "permutation of the 5,010 rows",
        "counted from 0",
    )
    from_one = permutation(SongMittalData.LOCATION30) + 1
    refused(lambda: song_mittal_memguard(SongMittalData.LOCATION30, from_one), "permutation of the 5,010 rows")
    refused(lambda: known_half(range(5), range(4)), "at least as many nonmembers", "found 5 and 4")
