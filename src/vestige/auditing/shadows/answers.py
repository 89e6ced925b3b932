"""What trained models give an audit: references, thresholds, label targets, and embeddings of the audited records."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from vestige.auditing.label_only.question import ShadowLabels
from vestige.auditing.querying.defended import Defended, KnowsDefence
from vestige.auditing.references.phi import places_of
from vestige.auditing.shadows.defending import pooled
from vestige.auditing.shadows.job import GRADIENT_NORMS
from vestige.auditing.shadows.training import Shadows
from vestige.core.answer_defence import AnswerDefence, FittedDefence
from vestige.core.blocks import BlockTable
from vestige.core.errors import InputError, TrainingError
from vestige.core.ids import id_texts
from vestige.core.outputs import GradientNorms, Logits, Output, Probabilities
from vestige.core.predictions import Predictions
from vestige.core.recipe import Model
from vestige.core.records import Records
from vestige.core.references import References
from vestige.core.seeds import stream
from vestige.core.targets import LabelTarget, MarginTarget
from vestige.targets.access import MeteredGradients, MeteredLabels, embeddings_of, labels_only, predicted_labels
from vestige.targets.ledger import Ledger
from vestige.targets.meter import Meter
from vestige.targets.opening import open_target
from vestige.targets.preprocessing import defended
from vestige.training.bank import Bank
from vestige.training.model_key import key_of


def references_of(shadows: Shadows, views: Logits | Probabilities | None = None) -> References:
    """Return the models that are done, with their answers about the pool as attacks read them.

    Args:
        shadows: The trained models.
        views: The target's answers to all views of each record, one record after the other; None if it was asked about
            the records alone.
    """
    plan = shadows.plan
    n = plan.records.n_records
    return References(
        shadows.output,
        shadows.store.table(shadows.kind, shadows.rows_read()),
        shadows.member,
        gradient_norms=shadows.store.read(GRADIENT_NORMS, rows=shadows.rows_read()) if plan.gradient_norms else None,
        ids=np.arange(n) if plan.records.ids is None else plan.records.ids,
        target=None if views is None else views.whole().reshape(n, -1, plan.records.n_classes),
        target_kind=None if views is None else type(views),
        groups=plan.drawn_together[shadows.done],
    )


def references_of_sources(shadows: Shadows, bank: Bank, audited: Records) -> References | None:
    """Return source models with their answers about the audited records, of which they saw none, then about their own.

    Records are numbered in this order. None where models are not kept, so that they cannot be asked.

    Args:
        shadows: The trained models.
        bank: Where they are.
        audited: The audited records, of the classes that the models tell apart.
    """
    own, members = shadows.plan.records, shadows.member
    about_own = shadows.store.read(shadows.kind, rows=shadows.rows_read())
    answers = []
    with suppress(TrainingError):
        for model, theirs in zip(models_read(shadows, bank, "attacks with reference models"), about_own, strict=True):
            told = open_target(model.classifier, own.n_classes).answers(audited.inputs)
            answers.append(np.concatenate([told.whole(), theirs]))
    if len(answers) < len(about_own):
        return None
    return References(
        shadows.output,
        np.stack(answers),
        np.concatenate([np.zeros((len(members), audited.n_records), dtype=bool), members], axis=1),
        ids=np.arange(audited.n_records + own.n_records),
        labels=np.concatenate([audited.labels, own.labels]),
        groups=shadows.plan.drawn_together[shadows.done],
    )


def with_earlier_copies(shadows: Shadows, target: Predictions, earlier: Sequence[Any]) -> References:
    """Return the models that are done, with their answers at the end and at every checkpoint as queries about a record.

    Args:
        shadows: The trained models.
        target: The target's answers about the records they are trained on, in that order.
        earlier: Copies of the target after as many epochs as each checkpoint.

    Raises:
        InputError: A copy answers with something else than the target does.
    """
    plan = shadows.plan
    last = target.output(Logits) or target.output(Probabilities)
    copies: list[Any] = [
        open_target(copy.classifier if isinstance(copy, Model) else copy, target.n_classes).answers(plan.records.inputs)
        for copy in earlier
    ]
    assert last is not None  # of a label-only adversary, earlier copies are refused
    if any(type(copy) is not type(last) for copy in copies):
        found = ", ".join(sorted({type(copy).__name__ for copy in copies}))
        raise InputError(
            f"Expected earlier copies that answer as the target does, with logits or probabilities, found {found} "
            f"beside {type(last).__name__}; give copies of the same model."
        )
    of_target = np.stack([last.whole(), *(copy.whole() for copy in copies)], axis=1)
    rows = [row for i in np.flatnonzero(shadows.done) for row in np.roll(plan.rows_of(int(i)), 1).tolist()]
    answers = _CopyByCopy(shadows.store.table(shadows.kind, rows), 1 + len(copies))
    return replace(references_of(shadows), answers=answers, target=of_target, target_kind=type(last))


class _CopyByCopy:
    """A table of a row per copy of a model as one of a row per model: model x record x copy x class."""

    def __init__(self, table: BlockTable, n_copies: int) -> None:
        self._table, self._n_copies = table, n_copies
        self.name, self.dtype = table.name, table.dtype
        n_rows, n_records, *others = table.shape
        self.shape = (n_rows // n_copies, n_records, n_copies, *others)

    def blocks(self, n_rows: int) -> Iterator[np.ndarray]:
        """Yield consecutive blocks of at most `n_rows` models."""
        for block in self._table.blocks(n_rows * self._n_copies):
            yield np.moveaxis(block.reshape(-1, self._n_copies, *block.shape[1:]), 1, 2)


def models_read(shadows: Shadows, bank: Bank, what: str) -> Iterator[Model]:
    """Yield the models that are done, each as attacks read it, from the bank.

    Args:
        shadows: What was trained.
        bank: Where it is.
        what: What it is needed for, for a message.

    Raises:
        TrainingError: One is not there.
    """
    plan = shadows.plan
    for number in np.flatnonzero(shadows.done).tolist():
        model_key = plan.model_key(number)
        files = bank.get(key_of(model_key), model_key)
        if files is None:
            raise TrainingError(
                f"Expected shadow model {number} in the bank for {what}, found none: models of this "
                "recipe have no safe format. Train scikit-learn estimators or torch modules."
            )
        yield plan.copy_read(plan.recipe.load(files))


def defences_of(
    shadows: Shadows, bank: Bank, front: Defended | None, *, labels_only: bool
) -> Sequence[AnswerDefence] | None:
    """Return the defence that the adversary puts in front of each model that is done; None for no defence.

    Args:
        shadows: The trained models; what they answered is stored undefended, whatever stands in front of the target.
        bank: Where they are; a defence that is fitted to each asks them about records of a third pool.
        front: What stands in front of the target.
        labels_only: Whether the adversary sees no more than the classes.

    Raises:
        TrainingError: A model that is to be asked is not in the bank.
    """
    if front is None or front.known is KnowsDefence.UNAWARE or (labels_only and front.defence.keeps_labels):
        return None
    defence = front.defence
    if not isinstance(defence, FittedDefence) or front.known is KnowsDefence.TARGETS_OWN:
        return [defence] * len(shadows.member)
    seeds = [
        int(stream(front.seed, f"defence of the shadow model in row {row}").integers(2**31))
        for row in shadows.rows_read()
    ]
    return fitted_to_each(defence, shadows, bank, front.shadow_nonmembers, seeds)


def fitted_to_each(
    defence: FittedDefence, shadows: Shadows, bank: Bank, nonmembers: Records, seeds: Sequence[int]
) -> list[AnswerDefence]:
    """Return a defence fitted to each model that is done: to its answers about its members and about a third pool.

    Args:
        defence: Still to be fitted.
        shadows: The models, whose answers are stored.
        bank: Where they are, to be asked about the third pool.
        nonmembers: The third pool.
        seeds: Of fitting, one for each model.

    Raises:
        TrainingError: A model is not in the bank.
    """
    own, n_classes = list[AnswerDefence](), shadows.plan.records.n_classes
    models = models_read(shadows, bank, f"fitting {type(defence).__name__} to it")
    for row, member, model, seed in zip(shadows.rows_read(), shadows.member, models, seeds, strict=True):
        answers = shadows.store.read(shadows.kind, rows=[row])[0].reshape(len(member), -1, n_classes)
        others: Any = open_target(model.classifier, n_classes).answers(nonmembers.inputs)
        of_members = shadows.output(answers[member, 0])  # of several views the record as it is
        own.append(defence.fitted(of_members, others, seed))
    return own


@contextmanager
def asked_for_labels(classifier: Any, records: Records, defence: AnswerDefence | None = None) -> Iterator[LabelTarget]:
    """Open one of the adversary's models as a label-only attack asks it, behind a defence if that changes labels."""
    asked = open_target(classifier, records.n_classes)
    model = labels_only(asked if defence is None or defence.keeps_labels else defended(asked, defence))
    with closing(Ledger(None, records.n_records)) as ledger:
        yield MeteredLabels(Meter(model, ledger), "shadow models")


@contextmanager
def asked_for_margins(classifier: Any, records: Records) -> Iterator[MarginTarget]:
    """Open one of the adversary's models as an attack asks it that knows its parameters."""
    with closing(Ledger(None, records.n_records)) as ledger:
        yield MeteredGradients(Meter(open_target(classifier, records.n_classes), ledger), "shadow models")


def labels_of_shadows(shadows: Shadows, bank: Bank, defences: Sequence[AnswerDefence] | None = None) -> ShadowLabels:
    """Return the models that are done, each by its labels, from the bank, behind defences if there are some."""
    plan = shadows.plan
    fronts: Sequence[AnswerDefence | None] = defences or [None] * len(shadows.member)

    def targets() -> Iterator[LabelTarget]:
        for model, front in zip(models_read(shadows, bank, "label-only attacks"), fronts, strict=True):
            with asked_for_labels(model.classifier, plan.records, front) as target:
                yield target

    def margins() -> Iterator[MarginTarget]:
        for model in models_read(shadows, bank, "attacks by gradients"):
            with asked_for_margins(model.classifier, plan.records) as target:
                yield target

    return ShadowLabels(shadows.member, plan.drawn_together[shadows.done], targets, margins=margins)


def labels_of_references(
    references: References, predictions: Predictions, pool: Records, defence: AnswerDefence | None = None
) -> ShadowLabels | None:
    """Return reference models, each by its labels; None if they are not at hand.

    Args:
        references: The models.
        predictions: What the target answered about the records of the pool.
        pool: The audited records.
        defence: What stands in front of each; None for nothing.

    Raises:
        InputError: They did not answer about every audited record.
    """
    classifiers = references.classifiers
    if classifiers is None:
        return None

    def targets() -> Iterator[LabelTarget]:
        for classifier in classifiers:
            with asked_for_labels(classifier, pool, defence) as target:
                yield target

    is_in = references.member[:, places_of(references, predictions)]
    return ShadowLabels(is_in, references.groups, targets, training=references.training)


def pooled_answers(
    shadows: Shadows,
    *,
    labels_only: bool,
    n_models: int | None = None,
    defences: Sequence[AnswerDefence] | None = None,
) -> Predictions:
    """Return what models answered about the records that they are trained on, one model after the other.

    Args:
        shadows: The models that are done.
        labels_only: Whether the adversary sees no more than the classes.
        n_models: How many of them, the first ones; all if omitted.
        defences: What stands in front of each; nothing if omitted.
    """
    records, member, rows = shadows.plan.records, shadows.member[:n_models], shadows.rows_read()[:n_models]
    answers = shadows.store.read(shadows.kind, rows=rows)
    kind = shadows.output
    told: Any = kind(answers.reshape(-1, records.n_classes))
    if defences is not None:
        told = pooled(kind, answers.reshape(len(rows), -1, records.n_classes), defences[:n_models])
    outputs: list[Output] = [predicted_labels(told) if labels_only else told]
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


def pooled_labels(
    shadows: Shadows, bank: Bank, defences: Sequence[AnswerDefence] | None = None, *, n_asked_about: int | None = None
) -> ShadowLabels:
    """Return all source models as one that is asked by labels: each about its own copy of their records.

    Label-only attacks choose strengths and thresholds on the first shadow model. This one has `n_sources` times the
    records, and passes a query on to the model that the record's number belongs to.

    Args:
        shadows: The models that are done.
        bank: Where they are.
        defences: What stands in front of each; nothing if omitted.
        n_asked_about: Records that each is asked about, half of them its members; all if omitted.
    """
    own, n_models = shadows.plan.records, len(shadows.member)
    fronts: Sequence[AnswerDefence | None] = defences or [None] * n_models
    rows = np.arange(own.n_records * n_models) if n_asked_about is None else _rows_asked(shadows, n_asked_about)
    pool = replace(own, ids=None, subjects=None).take(rows % own.n_records)

    def targets() -> Iterator[LabelTarget]:
        with ExitStack() as stack:
            models = models_read(shadows, bank, "label-only attacks")
            asked = [
                stack.enter_context(asked_for_labels(model.classifier, own, front))
                for model, front in zip(models, fronts, strict=True)
            ]
            yield _Pooled(asked, rows, own.n_records, own.n_classes)

    def margins() -> Iterator[MarginTarget]:
        with ExitStack() as stack:
            models = models_read(shadows, bank, "attacks by gradients")
            asked = [stack.enter_context(asked_for_margins(model.classifier, own)) for model in models]
            yield _PooledMargins(asked, rows, own.n_records)

    asked_about = None if n_asked_about is None else rows
    member = shadows.member.reshape(1, -1)[:, rows]
    return ShadowLabels(member, None, targets, pool=pool, margins=margins, rows=asked_about, n_rows=shadows.member.size)


def _rows_asked(shadows: Shadows, n_asked_about: int) -> Int[np.ndarray, " row"]:
    """The records that each model is asked about, as numbers among those of all models one after the other."""
    rows = []
    for number, member in enumerate(shadows.member):
        rng = stream(shadows.plan.seed, f"records that source model {number} is asked about")
        half = n_asked_about // 2
        sides = (rng.permutation(np.flatnonzero(side))[:half] for side in (member, ~member))
        rows.append(number * member.size + np.sort(np.concatenate(list(sides))))
    return np.concatenate(rows)


@dataclass(frozen=True, eq=False)
class _Pooled:
    """Several models as one, of which each answers for the records of its own block of numbers."""

    models: Sequence[LabelTarget]
    places: Int[np.ndarray, " record"]
    n_records: int
    n_classes: int

    def labels(self, inputs: Any, records: Int[np.ndarray, " query"]) -> Int[np.ndarray, " query"]:
        """Ask each model about the inputs that belong to its records."""
        found, places = np.empty(len(records), dtype=np.int64), self.places[records]
        for number, model in enumerate(self.models):
            rows = np.flatnonzero(places // self.n_records == number)
            if rows.size:
                some = inputs.iloc[rows] if hasattr(inputs, "iloc") else inputs[rows]
                found[rows] = model.labels(some, places[rows] % self.n_records)
        return found


@dataclass(frozen=True, eq=False)
class _PooledMargins:
    """The same, asked for gradients in the inputs."""

    models: Sequence[MarginTarget]
    places: Int[np.ndarray, " record"]
    n_records: int

    def margins(
        self, inputs: Any, labels: Int[np.ndarray, " query"], records: Int[np.ndarray, " query"]
    ) -> tuple[Float[np.ndarray, " query"], Float[np.ndarray, "query feature"]]:
        """Ask each model about the inputs that belong to its records."""
        margins, slopes = np.empty(len(inputs)), np.empty((len(inputs), int(np.prod(inputs.shape[1:]))))
        places = self.places[records]
        for number, model in enumerate(self.models):
            rows = np.flatnonzero(places // self.n_records == number)
            if rows.size:
                margins[rows], slopes[rows] = model.margins(inputs[rows], labels[rows], places[rows] % self.n_records)
        return margins, slopes


def embeddings_of_first(shadows: Shadows, bank: Bank, audited: Records) -> tuple[np.ndarray, np.ndarray]:
    """Return ids of the audited records (their numbers without ids), and the first model's last-layer inputs of each.

    Raises:
        UnsupportedModelError: It is no torch module, or its last layer is no linear one.
        TrainingError: It is not in the bank.
    """
    model = next(models_read(shadows, bank, "features of the audited records"))
    return embeddings_of(open_target(model.classifier, model.n_classes), audited)
