"""Source models: like the target, but trained on records of their own; thresholds are set on all of them together."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Int

from vestige.auditing.label_only.question import ShadowLabels
from vestige.auditing.shadows.job import GRADIENT_NORMS, LOGITS
from vestige.auditing.shadows.labels import asked_for_labels, models_read
from vestige.auditing.shadows.settings import ShadowTraining
from vestige.auditing.shadows.training import Shadows
from vestige.core.errors import InputError
from vestige.core.ids import id_texts
from vestige.core.messages import few
from vestige.core.outputs import GradientNorms, Logits, Output, PredictedLabels, Probabilities
from vestige.core.predictions import Predictions
from vestige.core.records import Records, as_given
from vestige.core.targets import LabelTarget
from vestige.evaluation.preflight.row_hashes import row_hashes
from vestige.training.bank import Bank


def records_to_train_on(training: ShadowTraining, audited: Records) -> Records:
    """Return the records that models are trained on: the audited ones, or the source models' own.

    Raises:
        InputError: A record of the source models is audited, or its class is none of the audited records'.
    """
    if training.records is None:
        return audited
    own: Records = training.records
    if own.ids is not None and audited.ids is not None:
        refuse_shared("source", own, audited)
    else:
        _refuse_equal(own, audited)
    if (own.subjects is None) != (audited.subjects is None):
        raise InputError(
            "Expected subjects of the source models' records and of the audited ones, or of neither, found them for "
            "one; a threshold set on records does not fit people's mean scores."
        )
    if training.fraction.denominator > own.n_records:
        raise InputError(
            f"Expected at least {training.fraction.denominator} records for source models trained on "
            f"{training.fraction} of them, found {own.n_records}; give more."
        )
    return _in_classes_of(audited, own)


def refuse_shared(name: str, others: Records, audited: Records) -> None:
    """Refuse audited records, or people, among the adversary's own: models trained on them would be IN models.

    Raises:
        InputError: Some are on both sides, or one side has no ids.
    """
    if others.ids is None or audited.ids is None:
        raise InputError(
            f"Expected ids of the {name} records and of the audited ones, found none; give both, by which they are "
            "known to be others."
        )
    for what, one, other in (("records", others.ids, audited.ids), ("subjects", others.subjects, audited.subjects)):
        if one is None or other is None:
            continue
        shared = np.intersect1d(id_texts(one), id_texts(other))
        if shared.size:
            raise InputError(
                f"Expected {name} records that are not audited, found {shared.size:,} {what} that are, such as "
                f"{few(shared[:3].tolist())}; leave them out."
            )


def _refuse_equal(own: Records, audited: Records) -> None:
    """Without ids records are told apart by their inputs."""
    equal = np.isin(row_hashes(own.inputs), row_hashes(audited.inputs))
    if equal.any():
        raise InputError(
            f"Expected source records that are not audited, found {int(equal.sum()):,} with the inputs of an audited "
            f"one, the first in row {int(equal.argmax()) + 1:,}; leave them out, or give ids of both if they are "
            "others."
        )


def _in_classes_of(audited: Records, own: Records) -> Records:
    """Own records with the audited ones' classes and codes."""
    if own.classes == audited.classes and own.n_classes == audited.n_classes:
        return own
    if own.classes is None and audited.classes is None and own.n_classes < audited.n_classes:
        return replace(own, classes=audited.n_classes)
    if own.classes is not None and audited.classes is not None and set(own.classes) <= set(audited.classes):
        codes = np.array([audited.classes.index(name) for name in own.classes])
        return replace(own, labels=codes[own.labels], classes=as_given(audited.classes))
    theirs, ours = (few(r.classes, 5) if r.classes else f"{r.n_classes} without names" for r in (own, audited))
    raise InputError(
        f"Expected source records of the audited records' classes ({ours}), found {theirs}; name all classes of both."
    )


def pooled_answers(shadows: Shadows, *, labels_only: bool, n_models: int | None = None) -> Predictions:
    """Return what models answered about the records that they are trained on, one model after the other.

    Args:
        shadows: The models that are done.
        labels_only: Whether the adversary sees no more than the classes.
        n_models: How many of them, the first ones; all if omitted.
    """
    records, member, rows = shadows.plan.records, shadows.member[:n_models], shadows.rows_read()[:n_models]
    answers = shadows.store.read(shadows.kind, rows=rows).reshape(-1, records.n_classes)
    outputs: list[Output] = [(Logits if shadows.kind == LOGITS else Probabilities)(answers)]
    if labels_only:
        outputs = [PredictedLabels(answers.argmax(axis=1))]
    if shadows.plan.gradient_norms:
        outputs.append(GradientNorms(shadows.store.read(GRADIENT_NORMS, rows=rows).ravel()))
    subjects = records.subjects
    if (
        subjects is not None and len(member) > 1
    ):  # one person is a member of one model and not of another: somebody else in each
        subjects = np.array([f"{model} {one}" for model in range(len(member)) for one in id_texts(subjects)])
    return Predictions(
        outputs,
        labels=np.tile(records.labels, len(member)),
        member=member.ravel(),
        ids=records.ids if len(member) == 1 else None,
        subjects=subjects,
        classes=records.classes,
    )


def pooled_labels(shadows: Shadows, bank: Bank) -> ShadowLabels:
    """Return all source models as one that is asked by labels: each about its own copy of their records.

    Label-only attacks choose strengths and thresholds on the first shadow model. This one has `n_sources` times the
    records, and passes a query on to the model that the record's number belongs to.
    """
    own, n_models = shadows.plan.records, len(shadows.member)
    rows = np.tile(np.arange(own.n_records), n_models)
    pool = replace(own, ids=None, subjects=None).take(rows)

    def targets() -> Iterator[LabelTarget]:
        with ExitStack() as stack:
            models = models_read(shadows, bank, "label-only attacks")
            asked = [stack.enter_context(asked_for_labels(model, own)) for model in models]
            yield _Pooled(asked, own.n_records, own.n_classes)

    return ShadowLabels(shadows.member.reshape(1, -1), None, targets, pool)


@dataclass(frozen=True, eq=False)
class _Pooled:
    """Several models as one, of which each answers for the records of its own block of numbers."""

    models: Sequence[LabelTarget]
    n_records: int
    n_classes: int

    def labels(self, inputs: Any, records: Int[np.ndarray, " query"]) -> Int[np.ndarray, " query"]:
        """Ask each model about the inputs that belong to its records."""
        found = np.empty(len(records), dtype=np.int64)
        for number, model in enumerate(self.models):
            rows = np.flatnonzero(records // self.n_records == number)
            if rows.size:
                some = inputs.iloc[rows] if hasattr(inputs, "iloc") else inputs[rows]
                found[rows] = model.labels(some, records[rows] % self.n_records)
        return found
