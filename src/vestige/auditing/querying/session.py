"""A session with the audited model: a pass over its records, a sample of them again, labels of copies, the cost."""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from vestige.attacks import CATALOGUE
from vestige.auditing.label_only.probe import n_queries_of
from vestige.auditing.querying.model_content import content_of
from vestige.auditing.querying.prediction_table import answers_from_table
from vestige.auditing.querying.settings import Querying
from vestige.auditing.run_folder import MANIFEST, QUERIES, forget_queries, refuse_without
from vestige.core.digests import columns_of_inputs, digest_of_columns
from vestige.core.errors import ArtefactError, InputError, TargetError, UnsupportedModelError
from vestige.core.inputs import InputSpace
from vestige.core.labels import SortedNames
from vestige.core.messages import few
from vestige.core.outputs import GradientNorms, LastLayerGradients, Logits, Output, PredictedLabels, Probabilities
from vestige.core.predictions import Predictions
from vestige.core.probabilities import softmax
from vestige.core.progress import Progress
from vestige.core.records import Records, joined
from vestige.core.result import Check, Queries, Validity
from vestige.core.seeds import stream
from vestige.core.targets import Access, Answers, GradientModel, LabelTarget, QueryableModel, RemoteModel
from vestige.core.views import MirrorAndShifts, with_views
from vestige.evaluation import preflight
from vestige.targets.access import (
    ASK_FOR_LABELS,
    MeteredConfidences,
    MeteredGradients,
    MeteredLabels,
    labels_only,
    predicted_labels,
)
from vestige.targets.answer_format import AnswerFormat
from vestige.targets.files.model_file import ModelFile
from vestige.targets.ledger import Ledger, Spent
from vestige.targets.meter import Meter
from vestige.targets.opening import DeclaredModel, open_target
from vestige.targets.preprocessing import prepared_model
from vestige.targets.stored_rows import StoredRows, stored_rows, stored_rows_of_onnx

_PASS, _AGAIN, _VIEWS = "one answer a record", "asked again", "views of a record"
_GRADIENTS, _LAST_LAYER = "one gradient a record", "one gradient of the last layer a record"
_CHECKED_AT_ONCE = 4096  # inputs that are prepared to see whether they can be
_SAMPLE = 32  # records that are asked about again
_SAME = 1e-4  # difference of a probability that rounding and another order of sums may explain


@dataclass(frozen=True, kw_only=True, eq=False)
class TargetAnswers:
    """What a model answered about its records.

    Attributes:
        predictions: Its answers, members first.
        pool: The records, in that order; None of predictions without records.
        classifier: What a recipe `same` may clone: the estimator behind the door; None if there is none.
        checks: What a reader should know of it.
        views: Its answers to all views of each record, those of one record after the other; None without views.
    """

    predictions: Predictions
    pool: Records | None = None
    classifier: Any = None
    checks: tuple[Check, ...] = ()
    views: Logits | Probabilities | None = None

    @property
    def predicted(self) -> np.ndarray:
        """The class of every record as it is."""
        kinds = (PredictedLabels, Logits, Probabilities)
        found = next(output for kind in kinds if (output := self.predictions.output(kind)) is not None)
        return np.asarray(predicted_labels(found).whole())


class TargetSession:
    """The audited model for the length of an audit, opened once.

    Inputs are prepared as declared; answers are reduced to labels where nothing more may be seen, counted against the
    budget and kept in the run's ledger. What changes answers, such as a defence, belongs between the model and that
    reduction (`limited`): neither an attack nor a file then sees what is behind it.

    Attributes:
        pool: Members, then nonmembers.
        classifier: What a recipe `same` may clone.
    """

    def __init__(
        self, target: Any, model: QueryableModel, meter: Meter, ledger: Ledger, pool: Records, querying: Querying
    ) -> None:
        self._target, self._model, self._meter, self._ledger = target, model, meter, ledger
        self.pool, self._querying = pool, querying
        self.classifier = classifier_behind(target, model, querying)

    @classmethod
    @contextmanager
    def open(
        cls,
        target: Any,
        members: Records,
        nonmembers: Records,
        querying: Querying,
        run: Path | None,
        progress: Progress,
    ) -> Iterator["TargetSession"]:
        """Open a model.

        Args:
            target: The model, or a door to it.
            members: Records it was trained on.
            nonmembers: Others.
            querying: How it may be asked.
            run: Folder with the ledger; in memory if None.
            progress: Told how many answers are there.

        Raises:
            InputError: The records do not fit each other.
            UnsupportedModelError: It is no classifier that could be asked, or not with this access.
            RunFolderError: The run holds answers of another model.
            TargetError: It does not answer; with what it said, which a label-only attack is not told.
        """
        progress("asking the target", 0, 1)
        pool = joined(members, nonmembers)
        model = open_target(target, pool.n_classes, pool.classes)
        interface = limited(target, model, querying)
        name = _name_of(target, model, interface, pool, querying)
        with _ledger(interface, name, pool, querying, run) as ledger:
            meter = Meter(interface, ledger, keep=keeps(interface, querying), progress=progress)
            try:
                yield cls(target, model, meter, ledger, pool, querying)
            except TargetError:
                if meter.failure is None:
                    raise
                failure = meter.failure
            else:
                return
        raise failure

    def answers(
        self, n_members: int, seed: int, *, last_layer: bool = False, wanted: Collection[str] | None = None
    ) -> TargetAnswers:
        """Ask about every record once, and about a sample of them again.

        Args:
            n_members: How many of the records are members.
            seed: Of the sample that is asked about again.
            last_layer: Whether an attack reads the gradients of the last layer; only with access to gradients.
            wanted: Attacks that are played, as of `n_queries_of`.

        Raises:
            InputError: The inputs do not fit what was declared of them.
            TargetError: It does not answer, or with something else than was declared.
            BudgetError: The budget is smaller than what is to be asked; nothing was.
        """
        pool, querying = self.pool, self._querying
        outputs, checks, views = _answers(self._meter, self._ledger, pool, querying, seed, last_layer, wanted)
        members = pool.take(np.arange(n_members)).inputs
        checks.append(_classes_taken(self._target, self._model, pool))
        checks.append(preflight.stored_training_rows(_rows_in(self._target, self._model, members, querying)))
        return TargetAnswers(
            predictions=predictions_of(outputs, pool, np.arange(pool.n_records) < n_members),
            pool=pool,
            classifier=self.classifier,
            checks=tuple(check for check in checks if check is not None),
            views=views,
        )

    def labels(self, attack: str) -> LabelTarget:
        """Return the model by labels alone, to an attack of that name."""
        return MeteredLabels(self._meter, attack)

    @property
    def queries(self) -> Queries:
        """What was asked so far."""
        return queries_of(self._ledger.spent, self._querying)


def table_answers(table: Predictions, members: Records, nonmembers: Records, querying: Querying) -> TargetAnswers:
    """Return the answers of a table of predictions about these records, matched by id.

    Raises:
        InputError: It lacks a record, or views of records are asked for.
    """
    if querying.views is not None:
        raise InputError("Expected a model for views of its records, found a table; leave out the views.")
    pool = joined(members, nonmembers)
    member = np.arange(pool.n_records) < members.n_records
    found = answers_from_table(table, pool, member, Access(querying.access))
    return TargetAnswers(predictions=predictions_of(found, pool, member), pool=pool)


def queries_of(spent: Spent, querying: Querying) -> Queries:
    """Return what was asked, as a report says it."""
    return Queries(
        spent.n_sent, spent.n_kept, spent.n_failed, spent.most_per_record, querying.price, spent.n_unanswered
    )


def limited(target: Any, model: QueryableModel, querying: Querying) -> QueryableModel:
    """Return the interface of a model, which was opened of a target, with the declared inputs and access.

    From the model outwards: prepared inputs, then what changes its answers (nothing yet), then the reduction to labels.

    Raises:
        UnsupportedModelError: It gives no gradients, or labels alone, and more is asked for.
    """
    interface = prepared_model(model, querying.inputs)
    if querying.access is Access.LABEL:
        return labels_only(interface)
    if _declared(target, model).kind is PredictedLabels:  # refused before a query is paid for
        raise UnsupportedModelError(f"Expected a number per class, found predicted labels; {ASK_FOR_LABELS}")
    if querying.access is Access.GRADIENTS and not isinstance(interface, GradientModel):
        raise UnsupportedModelError(
            "Expected a torch module for access to gradients, found a model that gives answers only; ask for access "
            "confidence or label."
        )
    return interface


def _classes_taken(target: Any, model: QueryableModel, pool: Records) -> Check | None:
    """Say which column was taken for which class where the records' classes have names and the model's have none."""
    names = pool.classes
    if names is None or list(names) == list(map(str, range(len(names)))):
        return None
    if getattr(model, "names_classes", False) or _declared(target, model).columns is not None:
        return None
    taken = few([f"{number} for {name}" for number, name in enumerate(names)], 12)
    sorted_ = isinstance(names, SortedNames)
    order = "sorted, as nobody gave an order" if sorted_ else "in the order that was given"
    return Check(
        "class_columns",
        Validity.VALID,
        f"{'Warning: the' if sorted_ else 'The'} model's answers name no classes: they were taken in the order of the "
        f"records' classes, {order}: column {taken}.",
        "If the model was trained with another order, name the classes in that order (classes in [data] or of Records)."
        if sorted_
        else "",
    )


def _declared(target: Any, model: QueryableModel) -> AnswerFormat:
    """What a model was said to answer with, by its door or by its kind; probabilities if nobody said it."""
    said = (getattr(model, "format", None), getattr(target, "answers", None))
    return next((format for format in said if isinstance(format, AnswerFormat)), AnswerFormat())


def classifier_behind(target: Any, model: QueryableModel, querying: Querying) -> Any:
    """Return what a recipe `same` clones: the estimator behind a door; None if what it is given is prepared."""
    return getattr(model, "estimator", target) if querying.inputs.changes_nothing else None


def _rows_in(target: Any, model: QueryableModel, members: Any, querying: Querying) -> Sequence[StoredRows]:
    """Training rows that the model carries, as it was given them."""
    given = members if querying.inputs.changes_nothing else querying.inputs.prepared(members)
    if isinstance(target, ModelFile) and Path(target.path).suffix.lower() == ".onnx":
        return stored_rows_of_onnx(target.path, given)
    return stored_rows(model, given)


@contextmanager
def _ledger(
    interface: QueryableModel, name: str, pool: Records, querying: Querying, run: Path | None
) -> Iterator[Ledger]:
    """The ledger of a run. How much was asked of it stays; what is noted of a model that costs nothing is its audit's.

    Nothing stays if nothing was asked, or in vain of a model that costs nothing: another may be next.
    """
    identity, budget = _identity(name, querying), querying.budget
    if run is None:
        with closing(Ledger(None, pool.n_records, identity, budget)) as ledger:
            yield ledger
        return
    refuse_without(run, QUERIES)
    made = [folder for folder in (run, *run.absolute().parents) if not folder.exists()]
    run.mkdir(parents=True, exist_ok=True)
    is_kept = keeps(interface, querying)
    is_finished = (run / MANIFEST).is_file()
    inputs = digest_of_columns(columns_of_inputs(pool.inputs))[:16]
    is_to_go = not (run / QUERIES).exists()

    def opened() -> Ledger:
        forget = {"forget": True, "forget_answers": not is_kept, "forget_records": not is_finished}
        return Ledger(run / QUERIES, pool.n_records, identity, budget, inputs, **forget)

    try:
        try:
            found = opened()
        except ArtefactError:
            if is_kept:
                raise
            forget_queries(run)  # nothing in it was paid for
            found = opened()
        with closing(found) as ledger:
            is_to_go = not is_kept and not is_finished
            try:
                yield ledger
                is_to_go = False
            finally:
                is_counted = ledger.n_asked and (budget is not None or is_finished)
                is_to_go = is_to_go or (not is_counted and ledger.spent.n_sent + ledger.spent.n_kept == 0)
    finally:
        if is_to_go:
            forget_queries(run)
            with suppress(OSError):  # only what was made for nothing
                for folder in made:
                    folder.rmdir()


def keeps(interface: QueryableModel, querying: Querying) -> bool:
    """Whether answers are kept: of a model that is far away, has a price, or a budget, which is for all starts."""
    return isinstance(interface, RemoteModel) or querying.price is not None or querying.budget is not None


def _name_of(target: Any, model: QueryableModel, interface: QueryableModel, pool: Records, querying: Querying) -> str:
    """Which model is asked: one of this process by its file's content, or by its own where answers of it are kept."""
    if isinstance(interface, RemoteModel):
        return interface.identity
    read = ""
    if isinstance(target, ModelFile):
        with Path(target.path).open("rb") as file:
            of = hashlib.file_digest(file, "sha256").hexdigest()[:16]
        read = f"{target.output} {getattr(target.factory, '__qualname__', '')}"
    else:
        asked = target.model if isinstance(target, DeclaredModel) else target
        of = getattr(asked, "__qualname__", type(asked).__qualname__)
        of += f" of content {content_of(asked)}" if keeps(interface, querying) else ""
    declared = (pool.n_classes, pool.classes, getattr(target, "answers", None), getattr(model, "format", None), read)
    return f"of this process, {of}, answers {hashlib.sha256(repr(declared).encode()).hexdigest()[:16]}"


def _identity(name: str, querying: Querying) -> str:
    """Which model is asked and how, as far as its answers depend on it."""
    space = digest_of_columns({"space": np.array([repr(querying.inputs)])})[:16]
    return f"{name} ({querying.access}, inputs {space})"


def again_of(n_records: int, seed: int) -> Int[np.ndarray, " record"]:
    """Return the records that are asked about again."""
    size = min(_SAMPLE, n_records)
    return np.sort(stream(seed, "asked again").choice(n_records, size, replace=False))


@dataclass(frozen=True)
class ToAsk:
    """Queries that an audit will send: each record, some again, gradients, other views, and label-only attacks'."""

    once: int
    again: int
    gradients: int
    views: int = 0
    label_only: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.once + self.again + self.gradients + self.views + self.label_only


def reserved(
    meter: Meter,
    ledger: Ledger,
    pool: Records,
    querying: Querying,
    seed: int,
    last_layer: bool = False,
    wanted: Collection[str] | None = None,
) -> ToAsk:
    """Return what an audit will send, label-only queries at most, for which there is a budget.

    Raises:
        InputError: An input is none of those that were declared, or there are views of records that are no images.
        BudgetError: There is none; nothing was sent.
    """
    querying.inputs.check(pool.inputs)
    if meter.keeps:
        _refuse_unpreparable(pool.inputs, querying.inputs)
    sample = pool.take(again_of(pool.n_records, seed)).inputs
    gradients = 0
    if querying.access is Access.GRADIENTS:
        gradients = meter.n_norms_to_ask(pool.inputs, pool.labels) + last_layer * pool.n_records
    once = views = meter.n_to_ask(pool.inputs)
    if querying.views is not None:
        views = meter.n_to_ask(pool.inputs, then=querying.views.others(pool.inputs))
    # What a run that goes on has sent already.
    sent = sum(int(ledger.per_record(attack.name).sum()) for attack in CATALOGUE if attack.asks_copies)
    labels = max(0, n_queries_of(querying.label_only, pool, querying.inputs, wanted) - sent)
    to_ask = ToAsk(once, meter.n_to_ask(sample, again=True), gradients, views - once, labels)
    ledger.reserve(to_ask.total)
    return to_ask


def _refuse_unpreparable(inputs: Any, space: InputSpace) -> None:
    """Refuse inputs that cannot be given to the model, all of them before the first is paid for."""
    for start in range(0, 0 if space.changes_nothing else len(inputs), _CHECKED_AT_ONCE):
        rows = slice(start, start + _CHECKED_AT_ONCE)
        space.prepared(inputs.iloc[rows] if hasattr(inputs, "iloc") else inputs[rows])


def _answers(
    meter: Meter,
    ledger: Ledger,
    pool: Records,
    querying: Querying,
    seed: int,
    last_layer: bool,
    wanted: Collection[str] | None,
) -> tuple[list[Output], list[Check | None], Logits | Probabilities | None]:
    records, again = np.arange(pool.n_records), again_of(pool.n_records, seed)
    sample = pool.take(again).inputs
    reserved(meter, ledger, pool, querying, seed, last_layer, wanted)
    outputs: list[Output]
    if querying.access is Access.LABEL:
        first: Answers = PredictedLabels(MeteredLabels(meter, _PASS).labels(pool.inputs, records))
    else:
        first = MeteredConfidences(meter, _PASS).answers(pool.inputs, records)
    outputs = [first]
    second = meter.answers(sample, again, _AGAIN, again=True)
    if querying.access is Access.GRADIENTS:
        norms = MeteredGradients(meter, _GRADIENTS).gradient_norms(pool.inputs, pool.labels, records)
        outputs.append(GradientNorms(norms))
        if last_layer:
            white = MeteredGradients(meter, _LAST_LAYER)
            outputs.append(LastLayerGradients(white.last_layer_gradients(pool.inputs, pool.labels, records)))
    checks: list[Check | None] = [_deterministic(first.whole()[again], second.whole(), type(first))]
    if ledger.spent.n_failed:
        failed = f"{ledger.spent.n_failed:,} requests gave no answer and were sent again."
        checks.append(Check("failed_requests", Validity.VALID, failed))
    return outputs, checks, None if querying.views is None else _views(meter, first, pool.inputs, querying.views)


def _views(meter: Meter, first: Answers, inputs: Any, views: MirrorAndShifts) -> Logits | Probabilities:
    """Answers to all views of each record, the record itself first; a view of all records at a time."""
    target, records = MeteredConfidences(meter, _VIEWS), np.arange(len(inputs))
    kind = Logits if isinstance(first, Logits) else Probabilities
    table = first.whole()
    others = (target.answers(view, records).whole() for view in views.others(inputs))
    return kind(with_views(table, others, views.n_views).reshape(-1, table.shape[1]))


def _deterministic(first: np.ndarray, second: np.ndarray, kind: type) -> Check:
    """Compare the answers of a sample with those it gave to the same inputs before."""
    name, n = "same_answers", len(first)
    if kind is PredictedLabels:
        differ = first != second
        size = ""
    else:
        p, q = (softmax(t.astype(np.float64)) if kind is Logits else t for t in (first, second))
        largest = np.abs(p - q).max(axis=1)
        differ = largest > _SAME
        size = f", by up to {largest.max():.2g} in a probability"
    if not differ.any():
        return Check(name, Validity.VALID, f"Asked again about {n} records, the model gave the same answers.")
    return Check(
        name,
        Validity.LIMITED,
        f"Asked again about {n} records, the model gave other answers for {int(differ.sum())}{size}: it is random, or "
        "answers depend on what is asked with them.",
        "Audit a model in evaluation mode, or a function that returns the mean of several answers: what is random "
        "hides a leak from one query and not from many.",
    )


def predictions_of(outputs: Sequence[Output], pool: Records, member: np.ndarray) -> Predictions:
    """Answers about a pool of records as predictions, with everything else that is known of the records."""
    return Predictions(
        outputs,
        labels=pool.labels,
        member=member,
        ids=pool.ids,
        subjects=pool.subjects,
        groups=pool.groups,
        inputs=_flat(pool.inputs),
        order=pool.order,
        classes=pool.classes,
        notes=pool.notes,
    )


def _flat(inputs: Any) -> Any:
    """Inputs as the blind baseline reads them: records x features."""
    return inputs if hasattr(inputs, "columns") or inputs.ndim == 2 else inputs.reshape(len(inputs), -1)
