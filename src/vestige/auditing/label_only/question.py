"""What crosses the steps of the label-only attacks of an audit: who is asked, about what, and what was found."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from vestige.auditing.played import PlayedAttacks
from vestige.auditing.scoring.learnt_scores import Copies
from vestige.core.attack import Attack
from vestige.core.inputs import InputSpace
from vestige.core.progress import Progress
from vestige.core.records import Records
from vestige.core.targets import LabelTarget


@dataclass(frozen=True, eq=False)
class ShadowLabels:
    """Shadow models as a label-only adversary asks them: its own, for nothing.

    Attributes:
        member: Who was trained on what.
        groups: Which of them were drawn together; None if complements say so.
        targets: Begins to go through them, in order, each as a `LabelTarget`.
        pool: Records of their own that they are asked about; None if it is the audited ones.
    """

    member: np.ndarray
    groups: np.ndarray | None
    targets: Callable[[], Iterator[LabelTarget]]
    pool: Records | None = None

    def first(self, n_models: int = 1) -> Iterator[tuple[int, LabelTarget]]:
        """The first of them, with their numbers; each is open until the next is asked for."""
        for number, model in enumerate(self.targets()):
            yield number, model
            if number + 1 >= n_models:
                return


@dataclass(frozen=True, kw_only=True, eq=False)
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

    @property
    def shadow_pool(self) -> Records:
        """The records that shadow models are asked about."""
        return self.pool if self.shadows is None or self.shadows.pool is None else self.shadows.pool


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelResults:
    """What label-only attacks add to an audit.

    Attributes:
        attacks: Those that were played; thresholds are set on the first shadow model, at the same strength.
        copies: Labels of copies, for an attack that learns from them; None if none was asked about for it.
        is_in: Who was trained on what, of the shadow models; None without.
    """

    attacks: PlayedAttacks
    copies: Copies | None = None
    is_in: np.ndarray | None = None
