"""Watson et al.'s thresholds: set in a game on public records, which nothing of the target can move."""

import numpy as np
import pytest

from vestige.attacks.calibration import calibration_score
from vestige.auditing.scoring.public_threshold import public_threshold
from vestige.core.errors import InputError
from vestige.data.sets.paper_designs import QuarterSplit, watson_public_game, watson_quarters
from vestige.evaluation.thresholds import balanced_accuracy_threshold

N = 400


def test_the_game_is_on_public_records_and_halves_their_nonmembers():
    split = watson_quarters(N, seed=3)
    game = watson_public_game(split, seed=3)
    np.testing.assert_array_equal(game.members, split.public_members)
    np.testing.assert_array_equal(game.nonmembers | game.reference, split.public_nonmembers)
    assert not (game.nonmembers & game.reference).any()
    assert game.reference.sum() == game.nonmembers.sum() == N // 8
    assert not ((game.members | game.nonmembers | game.reference) & (split.members | split.nonmembers)).any()
    assert not np.array_equal(game.reference, watson_public_game(split, seed=4).reference)


def test_people_are_not_split_between_nonmembers_and_reference():
    people = np.arange(N) // 2
    split = watson_quarters(N, seed=0, subjects=people)
    game = watson_public_game(split, seed=0, subjects=people)
    assert not set(people[game.nonmembers]) & set(people[game.reference])


def test_the_threshold_is_the_best_one_of_the_played_model():
    rng, split = np.random.default_rng(0), watson_quarters(N, seed=0)
    game = watson_public_game(split, seed=0)
    score, references = rng.normal(size=N) + split.public_members, rng.normal(size=(3, N))
    calibrated = calibration_score(score, references)
    expected = balanced_accuracy_threshold(calibrated[game.members], calibrated[game.nonmembers])
    assert public_threshold(score, references, game) == expected
    expected = balanced_accuracy_threshold(score[game.members], score[game.nonmembers])
    assert public_threshold(score, None, game) == expected


def test_whoever_the_targets_members_are_the_threshold_is_the_same():
    rng, split = np.random.default_rng(1), watson_quarters(N, seed=0)
    tampered = QuarterSplit(split.public_members, split.public_nonmembers, split.nonmembers, split.members)
    score, references = rng.normal(size=N), rng.normal(size=(2, N))
    found = public_threshold(score, references, watson_public_game(split, seed=0))
    assert public_threshold(score, references, watson_public_game(tampered, seed=0)) == found
    private = split.members | split.nonmembers
    unknown, unknown_too = np.where(private, np.nan, score), np.where(private, np.nan, references)
    assert public_threshold(unknown, unknown_too, watson_public_game(split, seed=0)) == found


def test_what_is_no_game_is_refused():
    split = watson_quarters(N, seed=0)
    game = watson_public_game(split, seed=0)
    with pytest.raises(InputError, match="scores of the 400 records of the game, found 3"):
        public_threshold(np.zeros(3), None, game)
    with pytest.raises(InputError, match="finite"):
        public_threshold(np.full(N, np.nan), None, game)
    nobody = QuarterSplit(split.public_members & False, split.public_nonmembers, split.members, split.nonmembers)
    with pytest.raises(InputError, match="found an empty side"):
        public_threshold(np.zeros(N), None, watson_public_game(nobody, seed=0))
