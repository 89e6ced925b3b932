"""What crosses the steps of the label-only attacks of an audit: who is asked, about what, and what was found."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from vestige.core.attack import Attack
from vestige.core.inputs import InputSpace
from vestige.core.progress import Progress
from vestige.core.records import Records
from vestige.core.result import Check, NotRun
from vestige.core.targets import LabelTarget


@dataclass(frozen=True, eq=False)
class ShadowLabels:
    """Shadow models as a label-only adversary asks them: its own, for nothing.

    Attributes:
        member: Who was trained on what.
        groups: Which of them were drawn together; None if complements say so.
        targets: Begins to go through them, in order, each as a `LabelTarget`.
    """

    member: np.ndarray
    groups: np.ndarray | None
    targets: Callable[[], Iterator[LabelTarget]]


@dataclass(frozen=True, eq=False)
class LabelScores:
    """What label-only attacks add to an audit.

    Attributes:
        is_in: Who was trained on what, of the shadow models; None without.
        scores: Score of each of the target's records, per attack.
        shadow_scores: The same of the first shadow model, at the same strength; thresholds are set there.
        n_queries: Queries about each record, per attack.
        by_budget: Per attack, numbers of queries and the score of each record after as many, record x number.
        not_run: Attacks that could not be played, and what they need.
        checks: What a reader should know.
        definitions: Strengths, and how they were chosen.
        signals: What attacks that learn read of the target's records, by name.
        shadow_signals: The same of the first shadow model.
    """

    is_in: np.ndarray | None = None
    scores: dict[str, np.ndarray] = field(default_factory=dict)
    shadow_scores: dict[str, np.ndarray] = field(default_factory=dict)
    n_queries: dict[str, int] = field(default_factory=dict)
    by_budget: dict[str, tuple[tuple[int, ...], np.ndarray]] = field(default_factory=dict)
    not_run: list[NotRun] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    definitions: dict[str, str] = field(default_factory=dict)
    signals: dict[str, np.ndarray] = field(default_factory=dict)
    shadow_signals: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class LabelQuestion:
    """What all label-only attacks of an audit have in common.

    Attributes:
        target: Gives the audited model by labels, to an attack of that name.
        predicted: Its classes of the records as they are.
        pool: The records.
        space: What inputs may be.
        shadows: Shadow models, if there are any.
        wanted: The attacks that may be played, by name.
        seed: Of noise and directions, the same for every model.
        progress: Told what is asked.
    """

    target: Callable[[str], LabelTarget]
    predicted: np.ndarray
    pool: Records
    space: InputSpace
    shadows: ShadowLabels | None
    wanted: Mapping[str, Attack]
    seed: int
    progress: Progress
