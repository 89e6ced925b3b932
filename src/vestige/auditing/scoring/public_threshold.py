"""A threshold of calibrated scores that is set on public records alone, as Watson et al. 2022 set theirs."""

import numpy as np
from jaxtyping import Float

from vestige.attacks.calibration import calibration_score
from vestige.core.errors import InputError
from vestige.data.sets.paper_designs import PublicGame
from vestige.evaluation.thresholds import balanced_accuracy_threshold

UNTUNED = 1e-4
"""What Watson et al. take for a threshold of calibrated scores where none is tuned (section 4.1)."""


def public_threshold(
    score: Float[np.ndarray, " record *draw"],
    reference_scores: Float[np.ndarray, "model record *draw"] | None,
    game: PublicGame,
) -> float:
    """Return the threshold that is best for a model of public members, played as if it were the target.

    Nothing of the target is read: neither its answers nor its members can move it.

    Args:
        score: Any score, higher for members, under a model that was trained on `game.members`, of all records of the
            pool; others than the public ones are not looked at, and may be NaN.
        reference_scores: The same under models that were trained on records of `game.reference`; None for a threshold
            of the score as it is.
        game: Who is who among the public records.

    Returns:
        The threshold, for "member iff score >= threshold", in the score's unit.

    Raises:
        InputError: The game has other records than the score, a side is empty, or a score is not finite.

    Example:
        >>> from vestige.data.sets.paper_designs import watson_public_game, watson_quarters
        >>> split = watson_quarters(8, seed=0)
        >>> threshold = public_threshold(np.arange(8.0), np.ones((1, 8)), watson_public_game(split, seed=0))
        >>> isinstance(threshold, float)
        True

    Source:
        Watson et al. 2022, section 4.1; ours is the reference (`PublicGame`).
    """
    if len(score) != game.members.size:
        raise InputError(
            f"Expected scores of the {game.members.size:,} records of the game, found {len(score):,}; score the pool."
        )
    members, nonmembers = (_scores(score, reference_scores, rows) for rows in (game.members, game.nonmembers))
    return balanced_accuracy_threshold(members, nonmembers)


def _scores(score: np.ndarray, reference_scores: np.ndarray | None, rows: np.ndarray) -> np.ndarray:
    if not rows.any():
        raise InputError("Expected public members and public nonmembers, found an empty side; draw the game anew.")
    if reference_scores is not None:
        return calibration_score(score[rows], reference_scores[:, rows])
    return calibration_score(score[rows], np.zeros((1, *score[rows].shape)))
