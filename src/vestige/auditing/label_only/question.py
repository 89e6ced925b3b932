"""What crosses the steps of the label-only attacks of an audit: who is asked, about what, and what was observed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import TypeVar

import numpy as np
from jaxtyping import Int

from vestige.auditing.played import PlayedAttacks
from vestige.auditing.scoring.learnt_scores import Copies
from vestige.core.attack import Attack
from vestige.core.inputs import InputSpace
from vestige.core.progress import Progress
from vestige.core.records import Records
from vestige.core.result import Check
from vestige.core.targets import LabelTarget, MarginTarget

Asked = TypeVar("Asked")


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelImitators:
    """What trains imitators of the target and of some shadow models, from the labels of noisy copies.

    Attributes:
        is_in: Which records each of one model's imitators is trained on, the same of every imitated model.
        models: Which shadow models are imitated beside the target.
        train: From how often each class was given to the copies of a record, by the target and by each of these models
            (record x class), to the imitators of each, in the same order: their numbers among the rows of `is_in`, and
            the models; none at all if none could be trained. And what a reader should know of their training.
    """

    is_in: np.ndarray
    models: np.ndarray
    train: Callable[[Sequence[np.ndarray]], tuple[list[tuple[np.ndarray, "ShadowLabels"]], tuple[Check, ...]]]


@dataclass(frozen=True, eq=False)
class ShadowLabels:
    """The adversary's own models, asked for labels without a cost.

    Attributes:
        member: Which model was trained on which record, model x record.
        groups: Which models were drawn together; None if complementary training sets say so.
        targets: Begins to go through the models, in order, each as a `LabelTarget`.
        training: How they were trained, in a sentence for a definition; empty where the result says it elsewhere.
        pool: Records of their own that they are asked about; None if it is the audited ones.
        margins: Begins to go through the models as `targets` does, for an attack that knows their parameters; None if
            they cannot be asked so.
        rows: Which of the records that the models answered about, one model after the other, `pool` is; None if it is
            all of them.
        n_rows: How many records they answered about, over all models; counted only beside `rows`.
        imitators: What trains imitators; None where none are wanted.
    """

    member: np.ndarray
    groups: np.ndarray | None
    targets: Callable[[], Iterator[LabelTarget]]
    _: KW_ONLY
    training: str = ""
    pool: Records | None = None
    margins: Callable[[], Iterator[MarginTarget]] | None = None
    rows: Int[np.ndarray, " asked"] | None = None
    n_rows: int = 0
    imitators: LabelImitators | None = None

    @property
    def has_source(self) -> bool:
        """Whether the first model has members and nonmembers among the records, so that thresholds can be set on it."""
        return bool(self.member[0].any() and not self.member[0].all())

    def first(self, n_models: int = 1) -> Iterator[tuple[int, LabelTarget]]:
        """Return the first models with their numbers; each is open until the next is asked for."""
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
        shadows: The adversary's models, if there are any: shadow models trained on random halves of the records, or
            reference models that were trained on none of them.
        wanted: The attacks that may be played, by name.
        seed: Of noise and directions, the same for every model.
        progress: Told what is asked.
        margins: Gives the audited model with its gradients, to an attack of that name; None without access to them.
    """

    target: Callable[[str], LabelTarget]
    predicted: np.ndarray
    pool: Records
    space: InputSpace
    shadows: ShadowLabels | None
    wanted: Mapping[str, Attack]
    seed: int
    progress: Progress
    margins: Callable[[str], MarginTarget] | None = None

    @property
    def trained_on_halves(self) -> ShadowLabels | None:
        """The shadow models that strengths and thresholds can be chosen on; None without such."""
        return self.shadows if self.shadows is not None and self.shadows.has_source else None

    @property
    def about_shadows(self) -> "LabelQuestion":
        """The same question about the records that shadow models are asked about."""
        return self if self.shadows is None or self.shadows.pool is None else replace(self, pool=self.shadows.pool)

    def of_source(self, ask: Callable[[LabelTarget], Asked], step: str) -> Asked | None:
        """Ask the first shadow model, on which thresholds are set; None without one.

        Args:
            ask: What is asked.
            step: What the progress is told.
        """
        for _, model in () if self.trained_on_halves is None else self.trained_on_halves.first():
            self.progress(step, 0, 1)
            return ask(model)  # within the loop: the model is closed after it
        return None


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelResults:
    """What label-only attacks add to an audit.

    Attributes:
        attacks: Those that were played; thresholds are set on the first shadow model, at the same strength.
        copies: What an attack that learns reads of the records' copies, by the attack's name.
        is_in: Which shadow model was trained on which record; None without any.
    """

    attacks: PlayedAttacks
    copies: Mapping[str, Copies] = field(default_factory=dict)
    is_in: np.ndarray | None = None
