"""`Part`: the trial of a row that takes its numbers from trials which other rows share."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from vestige.core.records import Records
from vestige.papers.reproduction.row import Scale, Trial

_MEASURED: dict[tuple[Trial, str, Scale, int], Mapping[str, float]] = {}
"""What trials measured in this process; a few hundred numbers each."""


@dataclass(frozen=True)
class Part:
    """Some of the numbers of larger trials, each of which runs once in a process however many rows read it.

    Attributes:
        wholes: The larger trials.
        wanted: A regular expression that the wanted numbers' names match from the first letter to the last.

    Example:
        >>> from vestige.core.records import Records
        >>> def whole(records, scale, seed):
        ...     return {"none: gap": 0.6, "risk, none @ 1": 0.5}
        >>> Part((whole,), ".*: gap")(Records([[0.0]], [0]), Scale.SMOKE, 0)
        {'none: gap': 0.6}
    """

    wholes: tuple[Trial, ...]
    wanted: str

    def __call__(self, records: Records, scale: Scale, seed: int) -> dict[str, float]:
        """Run what was not run yet, and return the wanted numbers."""
        found: dict[str, float] = {}
        for whole in self.wholes:
            key = (whole, records.digest, scale, seed)
            if key not in _MEASURED:
                _MEASURED[key] = dict(whole(records, scale, seed))
            found |= {name: value for name, value in _MEASURED[key].items() if re.fullmatch(self.wanted, name)}
        return found
