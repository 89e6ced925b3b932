"""What every way of playing attacks returns: scores of the target's records, and what thresholds are set on."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from vestige.core.attack import Attack
from vestige.core.result import Check, LearntCombination, NotRun


@dataclass(frozen=True, kw_only=True, eq=False)
class Played:
    """One attack as it was played.

    Attributes:
        attack: Which one, with its options.
        scores: Score of each of the target's records; NaN where the attack learnt from the record.
        known_scores: Scores of the records that thresholds are set on, the shadow model's or the known half; None where
            there are none.
        n_queries: Queries about each record.
        learned_on: What an attack that learns learnt from: `shadow` or `known_half`.
        definition: How it was played where there are several ways.
        learnt: What an attack learnt from reference models; None elsewhere.
        by_budget: Numbers of queries, and the score of each record after as many, record x number.
    """

    attack: Attack
    scores: Float[np.ndarray, " record"]
    known_scores: Float[np.ndarray, " known"] | None = None
    n_queries: int = 1
    learned_on: str = ""
    definition: str = ""
    learnt: LearntCombination | None = None
    by_budget: tuple[tuple[int, ...], Float[np.ndarray, "record budget"]] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class PlayedAttacks:
    """Attacks that were played, and those that could not be.

    Attributes:
        played: Each as it was played.
        not_run: Those that could not be, and what they need.
        checks: What a reader should know of how they were played.
    """

    played: tuple[Played, ...] = ()
    not_run: tuple[NotRun, ...] = ()
    checks: tuple[Check, ...] = ()

    @property
    def scores(self) -> dict[str, np.ndarray]:
        """Scores of the target's records by attack."""
        return {one.attack.name: one.scores for one in self.played}

    @property
    def known_scores(self) -> dict[str, np.ndarray]:
        """Scores that thresholds are set on, of the attacks that have some."""
        return {one.attack.name: one.known_scores for one in self.played if one.known_scores is not None}

    @property
    def attacks(self) -> tuple[Attack, ...]:
        """The attacks that were played."""
        return tuple(one.attack for one in self.played)


def together(ways: Iterable[PlayedAttacks]) -> PlayedAttacks:
    """Return what several ways of playing gave as one."""
    every_way = list(ways)
    return PlayedAttacks(
        played=tuple(one for way in every_way for one in way.played),
        not_run=tuple(one for way in every_way for one in way.not_run),
        checks=tuple(one for way in every_way for one in way.checks),
    )
