"""Phi of the target and of reference models about the same records: matched by id, one rule for certain answers."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from vestige.core.errors import InputError
from vestige.core.messages import few
from vestige.core.outputs import GradientNorms, Logits, Loss, Output, Phi, Probabilities
from vestige.core.predictions import Predictions
from vestige.core.references import References
from vestige.signals.phi import SATURATED, phi_from_logits, phi_from_losses, phi_from_probabilities


@dataclass(frozen=True, eq=False)
class ReferencePhi:
    """What the attacks with reference models read.

    Attributes:
        phi: The target's logit-scaled confidence in the true class [logit].
        shadow_phi: That of every reference model; NaN where one did not answer.
        is_in: Whether each of them was trained on each record.
        population_phi: The target's about records that are not audited; none if it was not asked about any.
        population_shadow_phi: That of the reference models.
        population_is_in: Whether they were trained on them.
        n_saturated: Answers of exactly 0 or 1 among all of these.
        limit: Where phi of such answers was put, and its negative [logit].
        order: Which of the references' records the audited ones are.
        by_id: Whether records were matched by id, and not by their order.
        gradient_norms: The target's gradient norm of every audited record; None if it or the models were not asked.
        shadow_gradient_norms: Those of every reference model.
    """

    phi: Float[np.ndarray, "record query"]
    shadow_phi: Float[np.ndarray, "model record query"]
    is_in: Bool[np.ndarray, "model record"]
    population_phi: Float[np.ndarray, "point query"]
    population_shadow_phi: Float[np.ndarray, "model point query"]
    population_is_in: Bool[np.ndarray, "model point"]
    n_saturated: int
    limit: float
    order: Int[np.ndarray, " record"]
    by_id: bool
    gradient_norms: Float[np.ndarray, " record"] | None = None
    shadow_gradient_norms: Float[np.ndarray, "model record"] | None = None

    @property
    def n_answers(self) -> int:
        """Answers of target and reference models, all queries counted."""
        return self.phi.size + self.shadow_phi.size + self.population_phi.size + self.population_shadow_phi.size


def reference_phi(references: References, target: Predictions) -> ReferencePhi:
    """Match the records, and bring all answers to phi.

    Answers of exactly 0 or 1 stand log 2 beyond the largest phi that any model gave otherwise: half of the smallest
    probability that occurs, as Anscombe's half vote. Infinite phi would undo every mean, and a distance of 100, as
    P2's code has it, every spread of a forest's answers.

    Raises:
        InputError: Target records are missing in the references, labels or classes differ, or answers are neither
            finite nor missing.
    """
    order, others, by_id = _matched(references, target)
    labels = target.labels
    if references.labels is not None:
        _same_labels(references.labels[order], labels)
    columns = np.concatenate([order, others])
    if others.size:
        truth = np.zeros(others.size, dtype=np.int64) if references.labels is None else references.labels[others]
        labels = np.concatenate([labels, truth])
    _check_classes(references, target)
    phi = np.empty((references.n_models, columns.size, references.n_queries))
    for number, answers in enumerate(references.models()):
        phi[number] = _phi(references.kind, answers[columns], labels, references.n_queries, f"model {number}")
    ours = _phi_of_target(references, target, columns, labels)
    n_saturated, limit = _clip(phi, ours)
    n = order.size
    return ReferencePhi(
        ours[:n], phi[:, :n], references.member[:, order],
        ours[n:], phi[:, n:], references.member[:, others],
        n_saturated, limit, order, by_id, *_gradient_norms(references, target, order),
    )  # fmt: skip


def _matched(references: References, target: Predictions) -> tuple[Int[np.ndarray, " record"], np.ndarray, bool]:
    """Where each audited record is among the references' records, and which others serve as population."""
    n = target.n_records
    nobody = np.empty(0, dtype=np.int64)
    if references.ids is None:
        if references.n_records != n:
            raise InputError(
                f"Expected reference models' answers about the {n:,} audited records, found {references.n_records:,} "
                "records without ids; give ids of both (reference_ids in a file)."
            )
        return np.arange(n), nobody, False
    if target.ids is None:
        raise InputError(
            "Expected ids of the audited records beside ids of the references, found none; give both, by which they "
            "are matched."
        )
    theirs, ours = references.ids, target.ids
    if (theirs.dtype.kind in "iu") != (ours.dtype.kind in "iu"):  # 7 in one file is "7" in the other
        theirs, ours = theirs.astype(np.str_), ours.astype(np.str_)
    by_id = np.argsort(theirs, kind="stable")
    place = np.minimum(np.searchsorted(theirs, ours, sorter=by_id), theirs.size - 1)
    order = by_id[place]
    missing = theirs[order] != ours
    if missing.any():
        raise InputError(
            f"Expected reference models' answers about every audited record, found none about "
            f"{int(missing.sum()):,} of {n:,}, such as {few([str(i) for i in ours[missing][:3]])}; ask the reference "
            "models about them, or leave them out of the audit."
        )
    known = references.target is not None and (references.kind is Phi or references.labels is not None)
    others = np.setdiff1d(np.arange(theirs.size), order) if known else nobody
    return order, others, True


def _same_labels(theirs: np.ndarray, ours: np.ndarray) -> None:
    differ = theirs != ours
    if differ.any():
        raise InputError(
            f"Expected the same labels of the audited records in the references, found {int(differ.sum()):,} of "
            f"{ours.size:,} others; number the classes alike in both, and check that ids mean the same records."
        )


def _check_classes(references: References, target: Predictions) -> None:
    if references.kind is Phi:
        return
    n_classes = references.answers.shape[-1]
    wide = any(output.n_axes == 2 for output in target.outputs)
    if n_classes != target.n_classes if wide else n_classes <= int(target.labels.max()):
        raise InputError(
            f"Expected {target.n_classes} classes of the reference models, as the target's, found {n_classes}; give "
            "models of the same task, with the classes in the same order."
        )


def _phi(
    kind: type[Output], answers: np.ndarray, labels: np.ndarray, n_queries: int, whose: str
) -> Float[np.ndarray, "record query"]:
    """Phi of one model; NaN where all of an answer is NaN."""
    if kind is Phi:
        return np.array(answers, dtype=np.float64).reshape(len(labels), n_queries)
    table = answers.reshape(len(labels), n_queries, answers.shape[-1])
    missing = np.isnan(table).all(axis=-1)
    of = phi_from_logits if kind is Logits else _phi_or_infinity
    try:
        found = of(np.where(missing[..., None], 1.0 / table.shape[-1], table), labels[:, None])
    except InputError as error:
        raise InputError(f"Reference {whose}: {error}") from None
    return np.where(missing, np.nan, found)


def _gradient_norms(
    references: References, target: Predictions, order: np.ndarray
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Of the target and of the models, if both were asked."""
    own = target.output(GradientNorms)
    if own is None or references.gradient_norms is None:
        return None, None
    return np.asarray(own.whole(), dtype=np.float64), references.gradient_norms[:, order].astype(np.float64)


def _phi_of_target(
    references: References, target: Predictions, columns: np.ndarray, labels: np.ndarray
) -> Float[np.ndarray, "record query"]:
    if references.target is not None:
        return _phi(references.kind, references.target[columns], labels, references.n_queries, "answers of the target")
    if references.n_queries > 1:
        raise InputError(
            f"Expected the target's answers to the same {references.n_queries} queries per record, found one; give "
            "them with the references (target_phi, target_logits or target_probs in a file)."
        )
    return phi_of(target)[:, None]


def _phi_or_infinity(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Phi, and infinity where the answer is exactly 0 or 1 instead of where P2's code puts it."""
    phi = phi_from_probabilities(probabilities, labels)
    return np.where(np.abs(phi) >= SATURATED, np.copysign(np.inf, phi), phi)


def phi_of(target: Predictions) -> Float[np.ndarray, " record"]:
    """Phi of a model's answers, of the kind that keeps the most digits; infinite where it is certain of a class.

    Raises:
        InputError: Its answers tell no confidence in the true class.
    """
    found: Any
    if (found := target.output(Logits)) is not None:
        return np.asarray(phi_from_logits(found.whole(), target.labels))
    if (found := target.output(Phi)) is not None:
        return np.array(found.whole(), dtype=np.float64)  # a copy: certain answers are moved in place
    if (found := target.output(Probabilities)) is not None:
        return _phi_or_infinity(found.whole(), target.labels)
    if (found := target.output(Loss)) is not None:
        return np.asarray(phi_from_losses(found.whole()))
    raise InputError(
        "Expected logits, probabilities, phi or losses of the target beside reference models, found none of them."
    )


def _clip(phi: np.ndarray, ours: np.ndarray) -> tuple[int, float]:
    """Put certain answers log 2 beyond all others, in place."""
    n_saturated = sum(int(np.isinf(values).sum()) for values in (phi, ours))
    highest = max(float(np.max(np.abs(values), where=np.isfinite(values), initial=0.0)) for values in (phi, ours))
    limit = highest + float(np.log(2.0))
    if n_saturated:
        for values in (phi, ours):
            np.clip(values, -limit, limit, out=values)
    return n_saturated, limit
