"""`References`: what many models, each with a known training set, answered about the audited records."""

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from vestige.core.blocks import ArrayTable, BlockTable
from vestige.core.columns import column
from vestige.core.errors import InputError
from vestige.core.ids import as_ids, refuse_repeated
from vestige.core.outputs import Logits, Phi, Probabilities

KINDS = (Phi, Logits, Probabilities)


@dataclass(frozen=True, eq=False)
class References:
    """Reference models: what each answered about the audited records, and on which of them it was trained.

    Attributes:
        kind: What they answered: `Phi`, `Logits` or `Probabilities`, the class itself.
        answers: models x records for phi, models x records x classes for the others; with an axis of queries after
            that of records if each record was asked for in several, the record as it is first. An array, or a
            `BlockTable` that is read a model at a time. NaN where a model did not answer.
        member: 1 where the model was trained on the record, 0 where it was not, models x records.
        ids: One unique id per record, by which they are matched with the audited ones; other records are welcome:
            a population that the target answered about too, or the pool of models that saw no audited record.
            None if the records are the audited ones in the same order.
        labels: True class of each record, 0..K-1; needed only for records that are not audited.
        target: What the audited model answered about the same records, as `answers` without the axis of models:
            needed for several queries, and for records that are not audited, which then serve as population.
        target_kind: What `target` is if it is not of the kind above: `Logits` beside `Probabilities`, or the other way.
        groups: Whole number per model: models whose training sets were drawn together, so that no record is in all of
            them or in none. Whoever takes one for the target leaves its group out. If omitted, the model itself and
            those with the complementary training set.
        gradient_norms: L2 norm of the gradient of each record's loss over all parameters of each model, models x
            records; the target's are among its own answers.
        training: How they were trained, in a sentence that may be released; it stands in the result's definitions.
        by_forgetting: Whether they began with the target's weights, which the adversary then has to know.
        classifiers: The models themselves, in the order of the answers, which label-only searches may then ask; None if
            they are not at hand.

    Raises:
        InputError: Shapes do not fit, membership is not 0 or 1, or an id is repeated.

    Example:
        >>> references = References(Phi, np.zeros((4, 3)), np.array([[1, 0, 1], [0, 1, 0]] * 2))
        >>> references.n_models, references.n_records, references.n_queries
        (4, 3, 1)
    """

    kind: Any
    answers: Any
    member: Any
    _: KW_ONLY
    ids: Any = None
    labels: Any = None
    target: Any = None
    target_kind: Any = None
    groups: Any = None
    gradient_norms: Any = None
    training: str = ""
    by_forgetting: bool = False
    classifiers: Any = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(
                f"Expected Phi, Logits or Probabilities, the class itself, as kind of the references, found "
                f"{self.kind!r}; such as References(Logits, answers, member)."
            )
        answers = self.answers
        if isinstance(answers, np.ndarray) or not isinstance(answers, BlockTable):
            answers = ArrayTable(np.asarray(answers), "the reference models' answers")
        self._check_shape(answers)
        set_ = object.__setattr__
        set_(self, "answers", answers)
        set_(self, "member", _as_membership(self.member, answers.shape[:2]))
        n = answers.shape[1]
        if self.ids is not None:
            set_(self, "ids", as_ids(self.ids, "ids of the references", n, "records"))
            cure = "records are matched by them: give each its own"
            refuse_repeated(self.ids, cure, "ids of the references")
        for name, size, rows in (("labels", n, "records"), ("groups", answers.shape[0], "models")):
            if getattr(self, name) is not None:
                set_(self, name, _whole_numbers(getattr(self, name), name, size, rows))
        if self.classifiers is not None and len(self.classifiers) != answers.shape[0]:
            raise InputError(
                f"Expected {answers.shape[0]} classifiers of the references, one per model that answered, found "
                f"{len(self.classifiers)}; give them in the order of the answers."
            )
        set_(self, "target_kind", self.kind if self.target_kind is None else self.target_kind)
        if self.target_kind is not self.kind and {self.target_kind, self.kind} != {Logits, Probabilities}:
            raise InputError(
                f"Expected the target's answers of the references' kind, or logits beside probabilities, found "
                f"{self.target_kind!r}."
            )
        for name, shape, expected, cure in (
            (
                "target",
                answers.shape[1:],
                f"the target's answers about the reference records in shape {answers.shape[1:]}, as each model's",
                "ask the target the same queries",
            ),
            (
                "gradient_norms",
                answers.shape[:2],
                f"gradient norms of the references as models x records, {answers.shape[0]:,} x {n:,}",
                "give one number per model and record",
            ),
        ):
            given = None if getattr(self, name) is None else np.asarray(getattr(self, name))
            if given is not None and given.shape != shape:
                raise InputError(f"Expected {expected}, found shape {given.shape}; {cure}.")
            set_(self, name, given)

    def _check_shape(self, answers: BlockTable) -> None:
        n_axes = 2 if self.kind is Phi else 3
        of_one = "models x records" if self.kind is Phi else "models x records x classes"
        if len(answers.shape) not in (n_axes, n_axes + 1) or 0 in answers.shape:
            raise InputError(
                f"Expected {self.kind.kind} of reference models as {of_one}, queries after the records if there are "
                f"several, found shape {answers.shape} in {answers.name}."
            )
        if answers.dtype.kind not in "fiu":
            raise InputError(
                f"Expected numbers as {self.kind.kind} of reference models, found {answers.dtype} in {answers.name}."
            )

    @property
    def n_models(self) -> int:
        """Number of models."""
        return int(self.answers.shape[0])

    @property
    def n_records(self) -> int:
        """Records that they were asked about."""
        return int(self.answers.shape[1])

    @property
    def n_queries(self) -> int:
        """Queries about each record."""
        has_queries = len(self.answers.shape) == (3 if self.kind is Phi else 4)
        return int(self.answers.shape[2]) if has_queries else 1

    def models(self) -> Iterator[np.ndarray]:
        """Yield each model's answers, records first, reading one model at a time."""
        for block in self.answers.blocks(1):
            yield block[0]


def _as_membership(values: Any, shape: tuple[int, ...]) -> np.ndarray:
    member = np.asarray(values)
    if member.shape != tuple(shape):
        raise InputError(
            f"Expected membership of reference models as models x records, {shape[0]:,} x {shape[1]:,} as their "
            f"answers, found shape {member.shape}; give a row per model."
        )
    if member.dtype.kind not in "biuf" or not bool(np.all((member == 0) | (member == 1))):
        raise InputError("Expected 0 or 1 as membership of reference models, found something else; code members as 1.")
    return member.astype(bool)


def _whole_numbers(values: Any, name: str, n: int, rows: str) -> np.ndarray:
    numbers = column(values, f"{name} of the references", n, rows)
    if numbers.dtype.kind not in "iu":
        raise InputError(
            f"Expected {name} of the references as whole numbers from 0, found {numbers.dtype} values; number them, "
            "classes as the target's are."
        )
    return numbers
