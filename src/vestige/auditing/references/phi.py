"""Phi of the target and of reference models about the same records: matched by id, one rule for certain answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from vestige.core.drawn_together import remaining
from vestige.core.errors import InputError
from vestige.core.ids import id_texts
from vestige.core.likelihood_ratio import Statistic
from vestige.core.messages import few
from vestige.core.outputs import GradientNorms, Logits, Output, Phi, Probabilities
from vestige.core.predictions import Predictions
from vestige.core.probabilities import LOG_FLOOR
from vestige.core.references import References
from vestige.core.seeds import stream
from vestige.signals.hinge import hinge_from_logits
from vestige.signals.losses import losses_from_phi
from vestige.signals.phi import confidences_of, limit_of, phi_of

_MOST_PHI = 1e100  # numbers whose squares can be summed
_FEWEST_RECORDS = 20  # from which on a design of exact halves is no accident
OF_QUERIES = ("phi", "shadow_phi", "population_phi", "population_shadow_phi")
"""Signals with an axis of queries that attacks know one query of."""


@dataclass(frozen=True, eq=False)
class ExactHalves:
    """A design in which every record is in exactly half of all models, the target among them.

    The other models' counts then tell whether the target was trained on a record: a member misses one IN model. So one
    model of the larger side, drawn for each record, is left out. Whether the target or the model that is left out was
    trained on the record is then equally likely, whatever the others answer.

    Attributes:
        member: Whether the target was trained on each record.
        draw: A random number per model and record, the target's last; the model with the largest is left out. It
            belongs to the record, wherever it stands.
    """

    member: Bool[np.ndarray, " record"]
    draw: Float[np.ndarray, "model record"]


@dataclass(frozen=True, eq=False)
class Imitated:
    """What imitators of the target, and of some reference models, answered.

    Attributes:
        phi: Logit-scaled confidence in the true class [logit], first of the target's imitators; NaN of those that were
            not trained.
        is_in: Which records they were trained on, the same of every imitated model.
        models: Which reference models are imitated.
    """

    phi: Float[np.ndarray, "imitated imitator record"]
    is_in: Bool[np.ndarray, "imitator record"]
    models: Int[np.ndarray, " reference"]

    def signals(self) -> dict[str, np.ndarray]:
        """Return it as attacks read it."""
        return {
            "imitator_phi": self.phi[0],
            "imitator_is_in": self.is_in,
            "shadow_imitator_phi": self.phi[1:],
            "imitated": self.models,
        }

    def with_target(self, model: int, others: Bool[np.ndarray, " model"]) -> "Imitated | None":
        """Return what remains with a reference model in the target's place; None if that one is not imitated."""
        place, kept = np.flatnonzero(self.models == model), np.flatnonzero(others[self.models])
        if not place.size:
            return None
        numbers = np.cumsum(others) - 1  # of the models that remain
        return Imitated(self.phi[1 + np.append(place, kept)], self.is_in, numbers[self.models[kept]])


@dataclass(frozen=True, kw_only=True, eq=False)
class ReferencePhi:
    """What the attacks with reference models read.

    Attributes:
        answers: What was observed, by the name under which attacks read it (`core.signal`): of the target, of every
            reference model as `shadow_...`, the axis of models first, and who was trained on what as `is_in`. `phi`
            [logit] is there for each record and query, NaN where a model did not answer, and for records that are not
            audited as `population_...`, which are none if nobody was asked about any. `statistic` is what LiRA reads
            instead of phi; `gradient_norms` and `max_log_p` are there if all models were asked.
        n_saturated: Answers of exactly 0 or 1 among all of these.
        limit: Where phi of such answers was put, and its negative [logit].
        order: Which of the references' records the audited ones are.
        by_id: Whether records were matched by id, and not by their order.
        groups: Which reference models were drawn together; None if that is read off their training sets.
        halves: Of a design in which every record is in exactly half of these models and the target; None elsewhere.
        subjects: Whose record each is; None without people.
    """

    answers: Mapping[str, np.ndarray]
    n_saturated: int
    limit: float
    order: Int[np.ndarray, " record"]
    by_id: bool
    groups: Int[np.ndarray, " model"] | None = None
    halves: ExactHalves | None = None
    subjects: Shaped[np.ndarray, " record"] | None = None
    imitators: Imitated | None = None

    @property
    def phi(self) -> Float[np.ndarray, "record query"]:
        """The target's logit-scaled confidence in the true class [logit]."""
        return self.answers["phi"]

    @property
    def shadow_phi(self) -> Float[np.ndarray, "model record query"]:
        """That of every reference model; NaN where one did not answer."""
        return self.answers["shadow_phi"]

    @property
    def is_in(self) -> Bool[np.ndarray, "model record"]:
        """Whether each of them was trained on each record."""
        return self.answers["is_in"]

    @property
    def signals(self) -> dict[str, np.ndarray]:
        """The answers as attacks read them: where LiRA reads phi, `statistic` is; phi of all queries is `query_phi`."""
        phi, theirs = self.phi, self.shadow_phi
        of_queries = {"query_phi": phi, "shadow_query_phi": theirs}
        of_imitators = {} if self.imitators is None else self.imitators.signals()
        of_pool = {}
        if self.answers["population_is_in"].any() and not self.is_in.any():  # nothing else is known of IN models
            of_pool = {
                "pool_phi": self.answers["population_shadow_phi"],
                "pool_is_in": self.answers["population_is_in"],
            }
        return {"statistic": phi, "shadow_statistic": theirs, **of_queries, **of_imitators, **of_pool, **self.answers}

    def of_query(self, query: int) -> dict[str, np.ndarray]:
        """The signals of one query; without a population the audited records stand for it."""
        signals = self.signals
        if not len(signals["population_phi"]):
            signals |= {f"population_{name}": signals[name] for name in ("phi", "shadow_phi", "is_in")}
        return {name: values[..., query] if name in OF_QUERIES else values for name, values in signals.items()}

    @property
    def n_answers(self) -> int:
        """Answers of target and reference models, all queries counted."""
        return sum(self.answers[name].size for name in OF_QUERIES)

    def with_target(self, model: int, others: Bool[np.ndarray, " model"]) -> "ReferencePhi":
        """One reference model in the target's place, with some of the others; of exact halves the target is one."""
        answers = {}
        for name, values in self.answers.items():
            if "shadow_" in name:
                answers[name.replace("shadow_", "")] = values[model]
            if "shadow_" in name or name.endswith("is_in"):
                answers[name] = values[others]
        groups, halves = None if self.groups is None else self.groups[others], self.halves
        imitators = None if self.imitators is None else self.imitators.with_target(model, others)
        if halves is None:
            return replace(self, answers=answers, groups=groups, imitators=imitators)
        for name in answers:
            if "shadow_" in name:
                answers[name] = np.concatenate([answers[name], self.answers[name.replace("shadow_", "")][None]])
        answers["is_in"] = np.concatenate([answers["is_in"], halves.member[None]])
        answers["population_is_in"] = np.empty((len(answers["is_in"]), 0), dtype=bool)
        draw = halves.draw[np.append(others, True)]
        return replace(self, answers=answers, halves=ExactHalves(self.is_in[model], draw)).of_target()

    def of_target(self) -> "ReferencePhi":
        """What attacks on the target read: of exact halves equally many IN and OUT models of each record."""
        if self.halves is None:
            return self
        n_models = len(self.is_in)
        larger_side = self.is_in != self.halves.member
        left_out = np.where(larger_side, self.halves.draw[:n_models], -1.0).argmax(axis=0)
        kept = np.argsort(np.arange(n_models)[:, None] == left_out, axis=0, kind="stable")[:-1]
        answers = dict(self.answers)
        for name, values in answers.items():
            if "shadow_" in name or name.endswith("is_in"):
                rows = kept.reshape(kept.shape + (1,) * (values.ndim - 2))
                audited = not name.startswith("population_")
                answers[name] = np.take_along_axis(values, rows, axis=0) if audited else values[:-1]
        return replace(self, answers=answers, halves=None)


def reference_phi(references: References, target: Predictions, statistic: Statistic = Statistic.LOGIT) -> ReferencePhi:
    """Match the records, and bring all answers to phi.

    Answers of exactly 0 or 1 stand one step beyond the largest phi that any model gave otherwise: see
    `vestige.signals.phi.limit_of`.

    Args:
        references: What the reference models answered.
        target: What the target answered.
        statistic: What LiRA is to read.

    Raises:
        InputError: Target records are missing in the references, labels or classes differ, answers are neither finite
            nor missing, or some are no logits and the hinge is asked for.
    """
    if statistic is Statistic.HINGE:
        _refuse_hinge(references, target)
    order, others, by_id = _matched(references, target)
    labels = target.labels
    if references.labels is not None:
        _same_labels(references.labels[order], labels)
    columns = np.concatenate([order, others])
    if others.size:
        truth = np.zeros(others.size, dtype=np.int64) if references.labels is None else references.labels[others]
        labels = np.concatenate([labels, truth])
    _check_classes(references, target)
    n, hinge = order.size, statistic is Statistic.HINGE
    observed = _of_target(references, target, columns, labels, n, hinge=hinge)
    of_classes = references.kind is not Phi and "max_log_p" in observed
    observed = observed if of_classes else {"phi": observed["phi"]}
    theirs = {
        name: np.empty((references.n_models, columns.size if name == "phi" else len(values), *values.shape[1:]))
        for name, values in observed.items()
    }
    for number, answers in enumerate(references.models()):  # read once, a model at a time
        of_model = {"phi": _phi(references.kind, answers[columns], labels, references.n_queries, f"model {number}")}
        if of_classes:
            of_model |= _of_classes(references.kind, answers[order], target.labels, hinge=hinge)
        for name, values in theirs.items():
            values[number] = of_model[name]
    ours, phi = observed.pop("phi"), theirs.pop("phi")
    observed |= {f"shadow_{name}": values for name, values in theirs.items()}
    n_saturated, limit = _clip(phi, ours)
    if statistic is Statistic.LOSS:  # after certain answers were moved: their log p is 0, which others' is not
        observed |= {"statistic": -losses_from_phi(ours[:n]), "shadow_statistic": -losses_from_phi(phi[:, :n])}
    observed |= _gradient_norms(references, target, order)
    observed |= {"phi": ours[:n], "shadow_phi": phi[:, :n], "is_in": references.member[:, order]}
    observed |= {"population_phi": ours[n:], "population_shadow_phi": phi[:, n:]}
    observed["population_is_in"] = references.member[:, others]
    return ReferencePhi(
        answers=observed,
        n_saturated=n_saturated,
        limit=limit,
        order=order,
        by_id=by_id,
        groups=references.groups,
        halves=_exact_halves(references, target.member, order),
        subjects=target.subjects,
    )


def _exact_halves(
    references: References, member: Bool[np.ndarray, " record"], order: Int[np.ndarray, " record"]
) -> ExactHalves | None:
    """The design, if every record is in exactly half of all models, and no other model has the target's complement."""
    is_in = references.member[:, order]
    n_models, n = len(is_in) + 1, references.n_records
    known = references.groups is None and order.size == n >= _FEWEST_RECORDS and n_models % 2 == 0 and n_models > 3
    if not known or (is_in.sum(axis=0) + member != n_models // 2).any() or (is_in == ~member).all(axis=1).any():
        return None
    # By id, so that the order of the records decides nothing.
    place = order if references.ids is None else np.argsort(np.argsort(references.ids, kind="stable"))[order]
    return ExactHalves(member, stream(0, "model left out of exact halves").random((n_models, n))[:, place])


def asked_alike(references: References, target: Predictions, views: Logits | Probabilities) -> References:
    """Return references with what the target answered to the same views of each audited record.

    Whether the views are the same cannot be seen: they are those of the same `MirrorAndShifts`, in its order.

    Args:
        references: What the reference models answered; other records than the audited ones are then no population.
        target: What the target answered about the audited records.
        views: What it answered to all views of each, those of one record after the other.

    Raises:
        InputError: They are not as many views, or records, labels or answers do not fit.
    """
    order, _, _ = _matched(references, target)
    table = views.whole().reshape(target.n_records, -1, views.table.shape[1])
    if references.kind is Phi or table.shape[1:] != references.answers.shape[2:]:
        of_models = " x ".join(map(str, references.answers.shape[2:])) or "one number"
        raise InputError(
            f"Expected reference models' logits or probabilities for {table.shape[1]} views of {table.shape[2]} "
            f"classes, found {references.kind.kind} of {of_models} per record; ask the target the views that they were "
            "asked."
        )
    if references.labels is not None:
        _same_labels(references.labels[order], target.labels)
    answers = np.full((references.n_records, *table.shape[1:]), np.nan)
    answers[order] = table
    return replace(references, target=answers, target_kind=type(views), labels=None)


def places_of(references: References, target: Predictions) -> Int[np.ndarray, " record"]:
    """Return which of the references' records the audited ones are.

    Raises:
        InputError: Some are missing, or only one side has ids.
    """
    return _matched(references, target)[0]


def _matched(references: References, target: Predictions) -> tuple[Int[np.ndarray, " record"], np.ndarray, bool]:
    """Where each audited record is among the references' records, and which others serve as population."""
    import pandas as pd

    n, nobody = target.n_records, np.empty(0, dtype=np.int64)
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
    if theirs.dtype.kind != ours.dtype.kind:  # 7 in one file is "7" in the other
        theirs, ours = id_texts(theirs), id_texts(ours)
    order = pd.Index(theirs).get_indexer(ours)
    missing = order < 0
    if missing.any():
        raise InputError(
            f"Expected reference models' answers about every audited record, found none about "
            f"{int(missing.sum()):,} of {n:,}, such as {few([str(i) for i in ours[missing][:3]])}; ask the reference "
            "models about them, or leave them out of the audit."
        )
    others = np.setdiff1d(np.arange(theirs.size), order)
    # Of no use but as a population that the target answered about, or as the pool of models that saw no audited record.
    used = references.target is not None or not references.member[:, order].any()
    return order, others if used and (references.kind is Phi or references.labels is not None) else nobody, True


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
        return phi_of(kind, answers, labels).reshape(len(labels), n_queries)
    try:
        return _where_answered(partial(phi_of, kind), answers, labels, n_queries)
    except InputError as error:
        raise InputError(f"Reference {whose}: {error}") from None


def _where_answered(
    of: Callable[[np.ndarray, np.ndarray], np.ndarray], answers: np.ndarray, labels: np.ndarray, n_queries: int
) -> Float[np.ndarray, "record query"]:
    table = answers.reshape(len(labels), n_queries, answers.shape[-1])
    missing = np.isnan(table).all(axis=-1)
    values = of(np.where(missing[..., None], 1.0 / table.shape[-1], table), labels[:, None])
    return np.where(missing, np.nan, values)


def _refuse_hinge(references: References, target: Predictions) -> None:
    of_target = target.output(Logits) is not None if references.target is None else references.target_kind is Logits
    if references.kind is not Logits or not of_target:
        whose = "the target" if references.kind is Logits else "the reference models"
        raise InputError(
            f"Expected logits for the hinge statistic, found other answers of {whose}; take the statistic logit or "
            "loss, which probabilities tell too."
        )


def _gradient_norms(references: References, target: Predictions, order: np.ndarray) -> dict[str, np.ndarray]:
    """Of the target and of the models, if both were asked."""
    own = target.output(GradientNorms)
    if own is None or references.gradient_norms is None:
        return {}
    theirs = references.gradient_norms[:, order].astype(np.float64)
    return {"gradient_norms": np.asarray(own.whole(), dtype=np.float64), "shadow_gradient_norms": theirs}


def _of_target(
    references: References, target: Predictions, columns: np.ndarray, labels: np.ndarray, n: int, *, hinge: bool
) -> dict[str, np.ndarray]:
    """What the target's answers tell: phi of all records, and of the `n` audited ones what numbers per class tell."""
    if references.target is not None:
        kind, answers = references.target_kind, references.target[columns]
        observed = {"phi": _phi(kind, answers, labels, references.n_queries, "answers of the target")}
        return observed if kind is Phi else observed | _of_classes(kind, answers[:n], target.labels, hinge=hinge)
    if references.n_queries > 1:
        raise InputError(
            f"Expected the target's answers to the same {references.n_queries} queries per record, found one; give "
            "them with the references (target_phi, target_logits or target_probs in a file)."
        )
    output = confidences_of(target)
    if output is None:
        raise InputError(
            "Expected logits, probabilities, phi or losses of the target beside reference models, found none of them."
        )
    observed = {"phi": phi_of(type(output), output.whole(), target.labels)[:, None]}
    table: Output | None = target.output(Logits) or target.output(Probabilities)
    return observed if table is None else observed | _of_classes(type(table), table.whole(), target.labels, hinge=hinge)


def _of_classes(kind: type[Output], answers: np.ndarray, labels: np.ndarray, *, hinge: bool) -> dict[str, np.ndarray]:
    """What numbers per class tell beside phi."""
    observed = {"max_log_p": _max_log_p(kind, answers)}
    if hinge:
        n_queries = int(np.prod(answers.shape[1:-1]))
        observed["statistic"] = _where_answered(hinge_from_logits, answers, labels, n_queries)
    return observed


def _max_log_p(kind: type[Output], answers: np.ndarray) -> Float[np.ndarray, " record"]:
    """Log of the largest probability of each record, the mean over its queries; NaN where an answer is missing."""
    table = np.asarray(answers, dtype=np.float64)
    top = table.max(axis=-1)
    if kind is Logits:  # of the other classes' share, of which float64 keeps every digit
        others = np.exp(table - top[..., None])
        np.put_along_axis(others, table.argmax(axis=-1)[..., None], 0.0, axis=-1)
        top_log_p = -np.log1p(others.sum(axis=-1))
    else:
        top_log_p = np.log(np.maximum(top, LOG_FLOOR))
    return np.asarray(top_log_p.reshape(len(table), -1).mean(axis=1))


def _clip(phi: np.ndarray, ours: np.ndarray) -> tuple[int, float]:
    """Put certain answers log 2 beyond all others, in place.

    Raises:
        InputError: A number is so large that its square is none.
    """
    n_saturated = sum(int(np.isinf(values).sum()) for values in (phi, ours))
    limit = limit_of(phi, ours)
    if limit > _MOST_PHI:
        raise InputError(
            f"Expected phi of the target and of the reference models of at most {_MOST_PHI:g}, found {limit:.3g}; no "
            "model answers so: the file is damaged, save it again."
        )
    if n_saturated:
        for values in (phi, ours):
            np.clip(values, -limit, limit, out=values)
    return n_saturated, limit


def left_without(observed: ReferencePhi, model: int) -> np.ndarray:
    """Which models remain when one is the target: all but its group, or but it and those that complement it."""
    return remaining(observed.is_in, observed.groups, model)


def fewest_on_a_side(is_in: np.ndarray) -> int:
    """IN or OUT models of the record that has the fewest; 0 without any model."""
    return int(min(is_in.sum(axis=0).min(), (~is_in).sum(axis=0).min()))
