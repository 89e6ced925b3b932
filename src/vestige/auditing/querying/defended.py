"""`Defended`: a defence of answers in front of the audited model, and what the adversary knows of it."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np

from vestige.core.answer_defence import AnswerDefence, FittedDefence
from vestige.core.errors import InputError, refuse_if
from vestige.core.messages import brief
from vestige.core.outputs import Logits, Output, PredictedLabels, Probabilities
from vestige.core.records import Records, as_records
from vestige.core.result import Check, Validity
from vestige.core.targets import Access, QueryableModel
from vestige.evaluation.preflight.row_hashes import row_hashes
from vestige.targets.access import ASK_FOR_LABELS, predicted_labels


class KnowsDefence(StrEnum):
    """What the adversary makes of a defence of answers.

    Attributes:
        ADAPTIVE: The answers of the adversary's own models are defended likewise, by classifiers fitted to each of them
            where the defence has some.
        TARGETS_OWN: By the very defence that was fitted to the audited model, as MemGuard's released attack has it.
        UNAWARE: They are not defended.
    """

    ADAPTIVE = "adaptive"
    TARGETS_OWN = "target's own"
    UNAWARE = "unaware"


@dataclass(frozen=True, kw_only=True, eq=False)
class Defended:
    """A defence of answers, what it is fitted to, and what the adversary knows.

    Attributes:
        defence: A value of `vestige.defences`, or one of your own of `AnswerDefence`.
        known: What the adversary makes of it.
        nonmembers: Records of the defender's own that the model was not trained on: what a defence that is to be fitted
            learns from, beside the members. None of them is audited. None for one that is fitted or needs no fitting.
        shadow_nonmembers: The same for each of the adversary's models; for an adaptive adversary who trains some.
        seed: Of fitting.

    Raises:
        InputError: It is no defence of answers, or one to be fitted without the defender's nonmembers.
    """

    defence: AnswerDefence
    known: KnowsDefence = KnowsDefence.ADAPTIVE
    nonmembers: Any = None
    shadow_nonmembers: Any = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("nonmembers", "shadow_nonmembers"):
            given = getattr(self, name)
            if given is not None:
                object.__setattr__(self, name, as_records(given, f"{name} of a defence"))
        front: Any = self.defence
        if not isinstance(front, AnswerDefence) or isinstance(front, type):
            raise InputError(
                f"Expected a defence of answers such as vestige.defences.TopK(3), found {brief(repr(front))}."
            )
        refuse_if(
            (
                not self.fitted_already and self.nonmembers is None,
                f"Expected nonmembers of the defender's own to fit {type(self.defence).__name__}, found none; give "
                "records that are neither audited nor under a threshold: Defended(defence=..., nonmembers=records).",
            ),
        )

    @property
    def identity(self) -> dict[str, Any]:
        """What a run records: the defence, and what is known of it."""
        return {**self.defence.identity(), "known": str(self.known)}

    @property
    def name(self) -> str:
        """The defence in a word or two: its own name, and its settings."""
        said = dict(self.defence.identity())
        settings = [f"{key}={value}" for key, value in said.items() if key not in ("defence", "digest", "seed")]
        name = str(said.get("defence", type(self.defence).__name__))
        return f"{name} ({', '.join(settings)})" if settings else name

    @property
    def fitted_already(self) -> bool:
        """Whether there is nothing to fit, or it is."""
        return not isinstance(self.defence, FittedDefence) or self.defence.is_fitted

    def fitted(self, model: QueryableModel, members: Records) -> "Defended":
        """Return it with the defence fitted to what a model answers, if that is still to be done."""
        if not isinstance(self.defence, FittedDefence) or self.fitted_already:
            return self
        of_members, of_others = model.answers(members.inputs), model.answers(self.nonmembers.inputs)
        return replace(self, defence=self.defence.fitted(of_members, of_others, self.seed))

    def refuse_kind(self, n_classes: int) -> None:
        """Refuse a defence that leaves labels alone, for an adversary who is to see confidences; nothing is asked.

        Raises:
            InputError: It leaves labels alone.
        """
        even = Probabilities(np.full((1, n_classes), 1 / n_classes))
        if self.fitted_already and isinstance(self.defence(even), PredictedLabels):
            raise InputError(
                f"Expected a number per class, found a defence that leaves labels alone, {self.name}; {ASK_FOR_LABELS}"
            )

    def outputs(self, outputs: tuple[Output, ...], access: Access) -> tuple[Output, ...]:
        """Return what is answered in place of what a table of predictions holds.

        Raises:
            InputError: The table has no number per class, or the defence is still to be fitted.
        """
        wide = next((output for output in outputs if isinstance(output, Logits | Probabilities)), None)
        if wide is None:
            raise InputError(
                "Expected logits or probabilities in the table for a defence of answers, found none; leave it out."
            )
        if access is not Access.LABEL:
            self.refuse_kind(wide.table.shape[1])
        told = self.defence(wide)
        return (predicted_labels(told) if access is Access.LABEL else told,)

    def refuse_shared(self, audited: Records, sources: Records | None) -> None:
        """Refuse records of the third pool that are audited, under a threshold, or in both of its parts.

        Raises:
            InputError: Some are.
        """
        shadows = self.shadow_nonmembers
        others = [("audited", audited), ("of source models", sources)]
        pairs = [("nonmembers", self.nonmembers, *other) for other in (*others, ("shadow_nonmembers too", shadows))]
        pairs += [("shadow_nonmembers", shadows, *other) for other in others]
        for name, own, what, other in pairs:
            if own is None or other is None:
                continue
            equal = np.isin(row_hashes(own.inputs), row_hashes(other.inputs))
            if equal.any():
                raise InputError(
                    f"Expected {name} of a defence that nobody else uses, found {int(equal.sum()):,} that are {what}, "
                    f"the first in row {int(equal.argmax()) + 1:,}; leave them out."
                )

    def check(self) -> Check:
        """Say in a report what stands in front of the model, and what the defender asked it."""
        how = {
            KnowsDefence.ADAPTIVE: "knows it and defends the answers of models of its own, if there are some, likewise",
            KnowsDefence.TARGETS_OWN: "has the very defence that was fitted to this model",
            KnowsDefence.UNAWARE: "does not know of it",
        }[self.known]
        asked = ""
        if self.nonmembers is not None:
            asked = (
                f" The defender fitted it to answers about the members and {self.nonmembers.n_records:,} records of "
                "its own, which are not among the adversary's queries."
            )
        return Check("defence", Validity.VALID, f"Answers are those behind {self.name}; the adversary {how}.{asked}")
