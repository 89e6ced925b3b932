"""A session with the audited model: one pass over its records, a sample of them again, labels of copies, the cost."""

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from vestige.attacks import CATALOGUE
from vestige.auditing.label_only.probe import n_queries_of
from vestige.auditing.querying.as_answered import same_answers, within_range
from vestige.auditing.querying.defended import Defended
from vestige.auditing.querying.model_content import content_of
from vestige.auditing.querying.prediction_table import answers_from_table
from vestige.auditing.querying.settings import Querying
from vestige.auditing.run_folder import MANIFEST, QUERIES, forget_queries, refuse_without
from vestige.core.digests import columns_of_inputs, digest_of_columns
from vestige.core.errors import (
    ArtefactError,
    InputError,
    TargetError,
    UnknownClassesError,
    UnsupportedModelError,
    refuse_if,
)
from vestige.core.labels import SortedNames
from vestige.core.messages import few
from vestige.core.outputs import GradientNorms, LastLayerGradients, Logits, Output, PredictedLabels, Probabilities
from vestige.core.predictions import Predictions
from vestige.core.progress import Progress
from vestige.core.records import Records, joined, with_classes
from vestige.core.result import Check, Queries, Validity
from vestige.core.seeds import stream
from vestige.core.targets import Access, Answers, GradientModel, LabelTarget, MarginTarget, QueryableModel, RemoteModel
from vestige.core.views import Views, with_views
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
from vestige.targets.ledger import Forgetting, Ledger
from vestige.targets.meter import Meter
from vestige.targets.opening import DeclaredModel, open_target
from vestige.targets.preprocessing import defended, prepared_model
from vestige.targets.stored_rows import StoredRows, stored_rows, stored_rows_of_onnx

_PASS, _AGAIN, _VIEWS = "one answer a record", "asked again", "views of a record"
_GRADIENTS, _LAST_LAYER = "one gradient a record", "one gradient of the last layer a record"
_CHECKED_AT_ONCE = 4096  # inputs that are prepared to see whether they can be
_SAMPLE = 32  # records that are asked about again


@dataclass(frozen=True, kw_only=True, eq=False)
class TargetAnswers:
    """What a model answered about its records.

    Attributes:
        predictions: Its answers, members first.
        pool: The records, in that order; None of predictions without records.
        classifier: What a recipe `same` may clone: the estimator behind the model; None if there is none.
        checks: What a reader should know of it.
        views: Its answers to all views of each record, those of one record after the other; None without views.
        defence: What stood in front of it, fitted; None without one.
    """

    predictions: Predictions
    pool: Records | None = None
    classifier: Any = None
    checks: tuple[Check, ...] = ()
    views: Logits | Probabilities | None = None
    defence: Defended | None = None

    @property
    def predicted(self) -> np.ndarray:
        """The class of every record as it is."""
        outputs = map(self.predictions.output, (PredictedLabels, Logits, Probabilities))
        return np.asarray(predicted_labels(next(output for output in outputs if output is not None)).whole())


class TargetSession:
    """The audited model for the length of an audit, opened once.

    Inputs are prepared as declared; answers are reduced to labels where nothing more may be seen, counted against the
    budget and kept in the run's ledger. A defence stands between the model and that reduction (`limited`): neither an
    attack nor a file then sees what is behind it.

    Attributes:
        pool: Members, then nonmembers.
        model: The model with the declared inputs and access; nobody counts what it is asked itself.
        meter: What asks it, for every attack.
        classifier: What a recipe `same` may clone.
    """

    def __init__(
        self,
        target: Any,
        opened: QueryableModel,
        model: QueryableModel,
        pool: Records,
        querying: Querying,
        ledger: Ledger,
        progress: Progress,
    ) -> None:
        self._target, self._opened, self._ledger = target, opened, ledger
        self.model, self.pool, self._querying = model, pool, querying
        self.meter = Meter(model, ledger, keep=keeps(model, querying), progress=progress)
        self.classifier = classifier_behind(target, opened, querying)
        self._by_label, front = self.meter, querying.front
        sees_more = querying.access is not Access.LABEL and not self.meter.keeps
        if front is not None and front.defence.keeps_labels and sees_more:
            # Labels that it keeps need not be asked through it, a thousand for each record.
            self._by_label = Meter(labels_only(prepared_model(opened, querying.inputs)), ledger, progress=progress)

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
            target: The model, or its source.
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
        try:
            opened = open_target(target, pool.n_classes, pool.classes)
        except UnknownClassesError as error:
            pool = with_classes(pool, error.classes)
            opened = open_target(target, pool.n_classes, pool.classes)
        querying = _fitted(opened, pool.take(np.arange(members.n_records)), querying)
        model = limited(target, opened, querying)
        name = model.identity if isinstance(model, RemoteModel) else _name_of(target, opened, pool, querying)
        space = digest_of_columns({"space": np.array([repr(querying.inputs)])})[:16]
        # And how it is asked, as far as answers depend on it. What is kept and paid for are answers of the defended
        # model, because a file of the audit must hold no more than the adversary sees, and the bill is the adversary's:
        # so another defence is another model. Whoever compares defences of a model that is paid for asks it once
        # without any, and gives each audit that table of predictions as its target. (Answers of shadow models are kept
        # as they are: they are the adversary's own.)
        behind = "" if querying.front is None else f", behind {json.dumps(querying.front.defence.identity())}"
        identity = f"{name} ({querying.access}, inputs {space}{behind})"
        with _ledger(identity, pool, querying, run, is_kept=keeps(model, querying)) as ledger:
            session = cls(target, opened, model, pool, querying, ledger, progress)
            try:
                yield session
            except TargetError:
                failure = session.meter.failure or session._by_label.failure
                if failure is None:
                    raise
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
        records, again = np.arange(pool.n_records), again_of(pool.n_records, seed)
        self.reserve(seed, last_layer=last_layer, wanted=wanted)
        if querying.access is Access.LABEL:
            first: Answers = PredictedLabels(self.labels(_PASS).labels(pool.inputs, records))
            remarks: tuple[str, ...] = ()
        else:
            first, remarks = within_range(MeteredConfidences(self.meter, _PASS).answers(pool.inputs, records))
            remarks += getattr(self._opened, "remarks", ())
        second = self.meter.answers(pool.take(again).inputs, again, _AGAIN, again=True)
        outputs = [first, *self._gradients(records, last_layer)]
        members = pool.take(np.arange(n_members)).inputs
        n_failed = self._ledger.spent.n_failed
        failed = f"{n_failed:,} requests gave no answer and were sent again."
        checks = (
            same_answers(first.whole()[again], second.whole(), type(first)),
            Check("failed_requests", Validity.VALID, failed) if n_failed else None,
            Check("answers_as_read", Validity.VALID, " ".join(remarks)) if remarks else None,
            _classes_taken(self._target, self._opened, pool),
            Check("outputs", Validity.VALID, note) if (note := getattr(self._opened, "note", "")) else None,
            preflight.stored_training_rows(_rows_in(self._target, self._opened, members, querying)),
            None if querying.front is None else querying.front.check(),
        )
        return TargetAnswers(
            predictions=predictions_of(outputs, pool, records < n_members),
            pool=pool,
            classifier=self.classifier,
            checks=tuple(check for check in checks if check is not None),
            views=None if querying.views is None else self._views(first, querying.views),
            defence=querying.front,
        )

    def _gradients(self, records: np.ndarray, last_layer: bool) -> Iterator[Output]:
        if self._querying.access is Access.GRADIENTS:
            inputs, labels = self.pool.inputs, self.pool.labels
            yield GradientNorms(MeteredGradients(self.meter, _GRADIENTS).gradient_norms(inputs, labels, records))
            if last_layer:
                model = MeteredGradients(self.meter, _LAST_LAYER)
                yield LastLayerGradients(model.last_layer_gradients(inputs, labels, records))

    def _views(self, first: Answers, views: Views) -> Logits | Probabilities:
        """Answers to all views of each record, the record itself first; a view of all records at a time."""
        model, records = MeteredConfidences(self.meter, _VIEWS), np.arange(self.pool.n_records)
        table = first.whole()
        others = (model.answers(view, records).whole() for view in views.others(self.pool.inputs))
        kind = Logits if isinstance(first, Logits) else Probabilities
        return kind(with_views(table, others, views.n_views).reshape(-1, table.shape[1]))

    def reserve(self, seed: int, *, last_layer: bool = False, wanted: Collection[str] | None = None) -> "ToAsk":
        """Return what `answers` will send, and label-only attacks at most; there is a budget for it.

        Raises:
            InputError: An input is not as declared, or views of records that are not images are asked for.
            BudgetError: There is none; nothing was sent.
        """
        pool, querying, meter = self.pool, self._querying, self.meter
        querying.inputs.check(pool.inputs)
        if meter.keeps and not querying.inputs.changes_nothing:  # what cannot be prepared, before the first is paid for
            for start in range(0, pool.n_records, _CHECKED_AT_ONCE):
                rows = np.arange(start, min(start + _CHECKED_AT_ONCE, pool.n_records))
                querying.inputs.prepared(pool.take(rows).inputs)
        gradients = 0
        if querying.access is Access.GRADIENTS:
            gradients = meter.n_norms_to_ask(pool.inputs, pool.labels) + last_layer * pool.n_records
        once = views = meter.n_to_ask(pool.inputs)
        if querying.views is not None:
            views = meter.n_to_ask(pool.inputs, then=querying.views.others(pool.inputs))
        again = meter.n_to_ask(pool.take(again_of(pool.n_records, seed)).inputs, again=True)
        # What a run that goes on has sent already.
        sent = sum(int(self._ledger.per_record(attack.name).sum()) for attack in CATALOGUE if attack.asks_copies)
        labels = max(0, n_queries_of(querying.label_only, pool, querying.inputs, wanted) - sent)
        to_ask = ToAsk(once=once, again=again, gradients=gradients, views=views - once, label_only=labels)
        self._ledger.reserve(to_ask.total)
        return to_ask

    def labels(self, attack: str) -> LabelTarget:
        """Return the model by labels alone, to an attack of that name."""
        return MeteredLabels(self._by_label, attack)

    def margins(self, attack: str) -> MarginTarget:
        """Return the model with its gradients, to an attack of that name."""
        return MeteredGradients(self.meter, attack)

    @property
    def queries(self) -> Queries:
        """What was asked so far."""
        spent = self._ledger.spent
        return Queries(**vars(spent), price=self._querying.price)


def table_answers(table: Predictions, members: Records, nonmembers: Records, querying: Querying) -> TargetAnswers:
    """Return the answers of a table of predictions about these records, matched by id.

    Raises:
        InputError: It lacks a record, or views of records are asked for.
    """
    if querying.views is not None:
        raise InputError("Expected a model for views of its records, found a table; leave out the views.")
    pool = joined(members, nonmembers)
    member, access, defence = np.arange(pool.n_records) < members.n_records, Access(querying.access), querying.front
    outputs = answers_from_table(table, pool, member, access if defence is None else Access.CONFIDENCE)
    if defence is not None:  # raw answers, which were asked for once
        outputs = defence.outputs(outputs, access)
    checks = () if defence is None else (defence.check(),)
    return TargetAnswers(predictions=predictions_of(outputs, pool, member), pool=pool, checks=checks, defence=defence)


def limited(target: Any, model: QueryableModel, querying: Querying) -> QueryableModel:
    """Return a model, which was opened of a target, with the declared inputs and access.

    From the model outwards: prepared inputs, then the defence of its answers, then the reduction to labels.

    Raises:
        UnsupportedModelError: It gives no gradients, or labels alone, and more is asked for.
        InputError: The defence leaves labels alone, and more is asked for.
    """
    front = querying.front
    if querying.access is Access.LABEL:
        if front is None or front.defence.keeps_labels:  # whoever sees labels alone sees no difference
            return labels_only(prepared_model(getattr(model, "by_label", model), querying.inputs))
        return labels_only(defended(prepared_model(model, querying.inputs), front.defence))
    asked = prepared_model(model, querying.inputs)
    refuse_if(  # before a query is paid for
        (
            _declared(target, model).kind is PredictedLabels,
            f"Expected a number per class, found predicted labels; {ASK_FOR_LABELS}",
        ),
        (
            querying.access is Access.GRADIENTS and not isinstance(asked, GradientModel),
            "Expected a torch module for access to gradients, found a model that gives answers only; ask for access "
            "confidence or label.",
        ),
        kind=UnsupportedModelError,
    )
    if front is None:
        return asked
    front.refuse_kind(asked.n_classes)
    return defended(asked, front.defence)


def _fitted(opened: QueryableModel, members: Records, querying: Querying) -> Querying:
    """The settings with a defence that is fitted to the model, if there is one to be fitted."""
    front = querying.front
    if front is None or front.fitted_already:
        return querying
    if querying.access is Access.LABEL and front.defence.keeps_labels:
        return querying  # it changes nothing that is seen
    refuse_if(
        (
            keeps(opened, querying),
            "Expected a fitted defence in front of a model that is far away, or has a price or a budget, found one to "
            "be fitted, which would ask it anew at every start; fit it once: defence.fitted(answers about members, "
            "answers about the defender's nonmembers, seed).",
        )
    )
    return replace(querying, defence=front.fitted(prepared_model(opened, querying.inputs), members))


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
    """What a model was said to answer with, by its source or by its kind; probabilities if nobody said it."""
    said = (getattr(model, "format", None), getattr(target, "answers", None))
    return next((format for format in said if isinstance(format, AnswerFormat)), AnswerFormat())


def classifier_behind(target: Any, model: QueryableModel, querying: Querying) -> Any:
    """Return what a recipe `same` clones: the estimator behind a model source; None if what it is given is prepared."""
    return getattr(model, "estimator", target) if querying.inputs.changes_nothing else None


def _rows_in(target: Any, model: QueryableModel, members: Any, querying: Querying) -> Sequence[StoredRows]:
    """Training rows that the model carries, as it was given them."""
    given = members if querying.inputs.changes_nothing else querying.inputs.prepared(members)
    if isinstance(target, ModelFile) and Path(target.path).suffix.lower() == ".onnx":
        return stored_rows_of_onnx(target.path, given)
    return stored_rows(model, given)


@contextmanager
def _ledger(identity: str, pool: Records, querying: Querying, run: Path | None, *, is_kept: bool) -> Iterator[Ledger]:
    """The ledger of a run. How much was asked of it stays; what is noted of a model that costs nothing is its audit's.

    Nothing stays if nothing was asked, or in vain of a model that costs nothing: another may be next.
    """
    budget = querying.budget
    if run is None:
        with closing(Ledger(None, pool.n_records, identity, budget)) as ledger:
            yield ledger
        return
    refuse_without(run, QUERIES)
    made = [folder for folder in (run, *run.absolute().parents) if not folder.exists()]
    run.mkdir(parents=True, exist_ok=True)
    is_finished = (run / MANIFEST).is_file()
    inputs = digest_of_columns(columns_of_inputs(pool.inputs))[:16]
    is_to_go = not (run / QUERIES).exists()
    forget = Forgetting(forget=True, forget_answers=not is_kept, forget_records=not is_finished)
    opened = partial(Ledger, run / QUERIES, pool.n_records, identity, budget, inputs, **forget)
    try:
        try:
            ledger = opened()
        except ArtefactError:
            if is_kept:
                raise
            forget_queries(run)  # nothing in it was paid for
            ledger = opened()
        with closing(ledger):
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


def keeps(model: QueryableModel, querying: Querying) -> bool:
    """Whether answers are kept: of a model that is far away, has a price, or a budget, which is for all starts."""
    return isinstance(model, RemoteModel) or querying.price is not None or querying.budget is not None


def _name_of(target: Any, model: QueryableModel, pool: Records, querying: Querying) -> str:
    """Which model of this process is asked: by its file's content, or by its own where answers of it are kept."""
    read = ""
    if isinstance(target, ModelFile):
        with Path(target.path).open("rb") as file:
            of = hashlib.file_digest(file, "sha256").hexdigest()[:16]
        read = f"{target.output} {getattr(target.factory, '__qualname__', '')}"
    else:
        asked = target.model if isinstance(target, DeclaredModel) else target
        of = getattr(asked, "__qualname__", type(asked).__qualname__)
        of += f" of content {content_of(asked)}" if keeps(model, querying) else ""
    declared = (pool.n_classes, pool.classes, getattr(target, "answers", None), getattr(model, "format", None), read)
    return f"of this process, {of}, answers {hashlib.sha256(repr(declared).encode()).hexdigest()[:16]}"


def again_of(n_records: int, seed: int) -> Int[np.ndarray, " record"]:
    """Return the records that are asked about again."""
    return np.sort(stream(seed, "asked again").choice(n_records, min(_SAMPLE, n_records), replace=False))


@dataclass(frozen=True, kw_only=True)
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


def predictions_of(outputs: Sequence[Output], pool: Records, member: np.ndarray) -> Predictions:
    """Answers about a pool of records as predictions, with everything else that is known of the records."""
    is_table = hasattr(pool.inputs, "columns") or pool.inputs.ndim == 2
    return Predictions(
        outputs,
        labels=pool.labels,
        member=member,
        ids=pool.ids,
        subjects=pool.subjects,
        groups=pool.groups,
        inputs=pool.inputs if is_table else pool.inputs.reshape(pool.n_records, -1),  # as the blind baseline reads them
        order=pool.order,
        classes=pool.classes,
        notes=pool.notes,
    )
