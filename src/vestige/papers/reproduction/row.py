"""`Row`: one table, or figure, of a paper on one data set: what is run, what was published, and what it takes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from vestige.core.records import Records
from vestige.data.sets.named import SETS, data_folder, folder_in_words
from vestige.papers.reproduction.verdicts import Relation


class Scale(StrEnum):
    """How much of a row is run.

    `smoke` shows in seconds that a row runs; its numbers are set beside nothing. `laptop` is the protocol as far as a
    night on two cores goes, its deviations named; `paper` is the protocol as published.
    """

    SMOKE = "smoke"
    LAPTOP = "laptop"
    PAPER = "paper"


class Paper(StrEnum):
    """The papers, by author and year."""

    SONG_MITTAL = "song-mittal2021"
    CARLINI = "carlini2022"
    CHOQUETTE_CHOO = "choquette-choo2021"
    WATSON = "watson2022"

    @property
    def words(self) -> str:
        """How a page calls it."""
        return {
            Paper.SONG_MITTAL: "Song & Mittal 2021",
            Paper.CARLINI: "Carlini et al. 2022",
            Paper.CHOQUETTE_CHOO: "Choquette-Choo et al. 2021",
            Paper.WATSON: "Watson et al. 2022",
        }[self]


Trial = Callable[[Records, Scale, int], Mapping[str, float]]
"""One independent trial: records of the data set, scale and seed -> the numbers that it measured, by name.

New records and new training in each; everything random follows from the seed.
"""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What a paper says of two numbers of a row.

    Attributes:
        better: Name of the number that is said to be larger, or as large.
        other: Name of the number it is compared with.
        relation: How they compare.
        unmet: The condition of the claim that the row does not meet; empty: it meets all.
    """

    better: str
    other: str
    relation: Relation = Relation.ABOVE
    unmet: str = ""

    def __str__(self) -> str:
        """Such as `a above b`."""
        return f"{self.better} {self.relation} {self.other}"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One table or figure of a paper on one data set.

    Attributes:
        paper: Whose.
        item: Which table or figure: `table4`.
        data: Name of the data set; one of `vestige data list`, or what it is where there is no loader.
        title: What it shows, in a few words.
        trial: Runs one trial.
        published: The paper's numbers, by the names of what a trial measures.
        n_published: Trials that a published number is the mean of.
        claims: What the paper says of them.
        deviations: How a trial differs from what the paper says, or from its code where they disagree.
        inconsistent: Published numbers that do not fit others of the same source, and why: no verdict is made of them.
        n_trials: Trials at the scales `laptop` and `paper`.
        seconds: Of a trial at `laptop` on one core: measured, or an estimate where none has run; 0 if unknown.
        gpu_hours: Estimate of what the row takes where it is out of reach for processors; 0 elsewhere.
    """

    paper: Paper
    item: str
    data: str
    title: str
    trial: Trial
    published: Mapping[str, float] | None = None
    n_published: int = 1
    claims: Sequence[Claim] = ()
    deviations: Sequence[str] = ()
    inconsistent: Mapping[str, str] | None = None
    n_trials: int = 5
    seconds: float = 0.0
    gpu_hours: float = 0.0

    @property
    def name(self) -> str:
        """Paper and item, as the command takes it: `song-mittal2021-table4`."""
        return f"{self.paper}-{self.item}"

    @property
    def place(self) -> str:
        """Path of its result, below the folder of results."""
        return f"{self.paper}/{self.item}-{self.data}.json"

    @property
    def is_at_hand(self) -> bool:
        """Whether its data are in the data folder; a row that wants a GPU then runs, if slowly."""
        return self.data in SETS and SETS[self.data].files_in(data_folder()) is not None

    @property
    def state(self) -> str:
        """What keeps it from running here, or that nothing does."""
        if not self.is_at_hand:
            return f"needs data: {self.data}, in {folder_in_words()}"
        if self.gpu_hours:
            return f"needs a GPU: about {self.gpu_hours:g} h"
        return "runs here"
