"""Targets that do not always answer alike: the class that most of several answers name."""

from typing import Any

import numpy as np
from jaxtyping import Int

from vestige.core.errors import InputError
from vestige.core.targets import LabelTarget


class MajorityLabels:
    """A label target that asks each input several times, for models whose answers are random.

    Every vote is a query, asked and counted. A meter that keeps answers gives the first one again: let it keep none.

    Args:
        target: What answers with labels.
        n_votes: Answers per input; odd, so that two classes cannot be even.

    Raises:
        InputError: The number of votes is even, or below 1.

    Example:
        >>> class Wavering:
        ...     n_classes, turn = 2, 0
        ...
        ...     def labels(self, inputs, records):
        ...         self.turn += 1
        ...         return np.full(len(inputs), self.turn % 2)
        >>> MajorityLabels(Wavering(), 3).labels(np.zeros((2, 1)), np.arange(2))
        array([1, 1])
    """

    def __init__(self, target: LabelTarget, n_votes: int) -> None:
        if n_votes < 1 or n_votes % 2 == 0:
            raise InputError(f"Expected an odd number of votes, found {n_votes}; such as 5.")
        self._target, self._n_votes = target, n_votes

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return self._target.n_classes

    def labels(self, inputs: Any, records: Int[np.ndarray, " query"]) -> Int[np.ndarray, " query"]:
        """Return the class that most answers to each input name, the first of equally many; errors as the target."""
        votes = np.zeros((len(records), self.n_classes), dtype=np.int32)
        for _ in range(self._n_votes):
            votes[np.arange(len(records)), self._target.labels(inputs, records)] += 1
        return np.asarray(votes.argmax(axis=1))
