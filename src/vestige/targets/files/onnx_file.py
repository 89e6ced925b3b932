"""A graph in an ONNX file, asked by onnxruntime on the processor, with no operators but its own."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vestige.core.columns import refuse_missing
from vestige.core.errors import InputError, TargetError, UnsupportedModelError, refuse_if
from vestige.core.labels import codes_of_classes
from vestige.core.messages import few
from vestige.core.outputs import Logits, PredictedLabels
from vestige.core.sparse import dense
from vestige.core.targets import Answers, ClassNames, QueryableModel
from vestige.targets.answer_format import AnswerFormat
from vestige.targets.files.padded_blocks import padded_blocks
from vestige.targets.refusals import answered, check_record_shape, reading

_BLOCK = 4096
_NUMBERS = ("tensor(float)", "tensor(double)", "tensor(float16)")
_LABELS = ("tensor(int64)", "tensor(int32)", "tensor(string)")
_SAME_NAMES = ("float16", "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8", "bool")
_TYPES: dict[str, np.dtype[Any]] = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(double)": np.dtype(np.float64),
    "tensor(string)": np.dtype(np.object_),
    **{f"tensor({name})": np.dtype(name) for name in _SAME_NAMES},
}


def open_onnx(
    path: Path, answers: AnswerFormat | None, output: str | None, n_classes: int, classes: ClassNames
) -> QueryableModel:
    """Return a target that asks a graph.

    Args:
        path: A `.onnx` file.
        answers: What it answers with; probabilities if omitted and an output is called so.
        output: Name of the output that is read; the only one that it can be if omitted.
        n_classes: Classes of the records.
        classes: Their names.

    Raises:
        InputError: The file is damaged, or does not say which output is read, and as what.
        UnsupportedModelError: An input takes no records.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    with reading(path, "an ONNX graph"):
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    chosen = _chosen(path, session.get_outputs(), None if answers is None else answers.kind, output)
    if answers is None and not _is_named(chosen, "probabilit"):
        raise InputError(
            f"Expected to know what the output {chosen.name} of {path.name} is, found no declaration; declare the "
            'answers as "logits" or "probabilities".'
        )
    format = answers or AnswerFormat()
    if chosen.type not in _LABELS and format.columns is None:
        format = replace(format, columns=_columns_in(path, n_classes, classes))
    beside = [output.name for output in session.get_outputs() if output.type in _LABELS and _is_named(output, "label")]
    label = beside[0] if len(beside) == 1 and beside != [chosen.name] else None
    return OnnxTarget(session, chosen.name, format, n_classes, classes, label)


def _columns_in(path: Path, n_classes: int, classes: ClassNames) -> tuple[Any, ...] | None:
    """The classes that a graph names for its columns, if they are the records' by name or by code; None if not.

    Raises:
        UnknownClassesError: It has more than the records.
    """
    known: set[tuple[Any, ...]] = set()
    with suppress(Exception):  # the package onnx is missing, or cannot read it
        import onnx

        for node in onnx.load(path, load_external_data=False).graph.node:
            for named in node.attribute:
                if named.name.startswith("classlabels") and (named.ints or named.strings):
                    known.add((*named.ints, *(name.decode() for name in named.strings)))
    names = next(iter(known)) if len(known) == 1 else ()
    is_text = any(isinstance(name, str) for name in names)
    is_known = set(names) <= set(classes or ()) if is_text else classes is None
    if not names or not (is_known or len(names) > n_classes):
        return None
    codes_of_classes(names, "the graph's classes", n_classes, classes)
    return names


def _is_named(output: Any, *parts: str) -> bool:
    return any(part in output.name.lower() for part in parts)


def _chosen(path: Path, outputs: Sequence[Any], kind: Any, name: str | None) -> Any:
    """The output that is read."""
    if name is not None:
        named = [output for output in outputs if output.name == name]
    elif kind is PredictedLabels:
        named = _narrowed([output for output in outputs if output.type in _LABELS], "label")
    else:
        named = [output for output in outputs if _is_number_per_class(output)]
        if kind is Logits:
            named = [output for output in named if not _is_named(output, "probabilit")] or named
            named = _narrowed(named, "logit", "score")
        else:
            named = _narrowed(named, "probabilit")
    if len(named) != 1:
        wanted = "with a label per record" if kind is PredictedLabels else "with a number per class"
        what = wanted if name is None else f"called {name}"
        candidates = [f"{output.name} ({output.type})" for output in named or outputs]
        raise InputError(
            f"Expected one output {what} in {path.name}, found {few(candidates, 5)}; name the one that is read "
            "(output=...), or export the model with it alone."
        )
    return named[0]


def _narrowed(outputs: list[Any], *parts: str) -> list[Any]:
    named = [output for output in outputs if _is_named(output, *parts)]
    return named if len(named) == 1 else outputs


def _is_number_per_class(output: Any) -> bool:
    is_table = output.type in _NUMBERS and len(output.shape or (None, None)) == 2
    return is_table or output.type.startswith("seq(map(")


class OnnxTarget:
    """Asks one output of a session, in blocks; a block that is too short for the graph is filled up with copies.

    Args:
        session: Of onnxruntime.
        output: Name of the output.
        format: How it is read.
        n_classes: Classes of the records.
        classes: Their names.
        label: Name of the output that says which class is predicted, with which the columns are compared.

    Raises:
        UnsupportedModelError: An input takes no records.
    """

    def __init__(
        self,
        session: Any,
        output: str,
        format: AnswerFormat,
        n_classes: int,
        classes: ClassNames = None,
        label: str | None = None,
    ) -> None:
        self.session, self.output, self.format, self._label = session, output, format, label
        self.n_classes, self.classes, self.inputs = n_classes, classes, inputs_of(session)
        self.names_classes = False
        fixed = next((entry.shape[0] for entry in self.inputs if entry.shape[0] is not None), None)
        self.least, self.most = (1, _BLOCK) if fixed is None else (max(1, fixed), max(1, fixed))

    def answers(self, inputs: Any) -> Answers:
        """Return what the graph answers.

        Raises:
            InputError: The records have no values for an input.
            TargetError: The graph fails, or its answers are not what they were said to be.
        """
        blocks: list[np.ndarray] = []
        format, labels = self.format, None
        for rows, n_records in padded_blocks(len(inputs), self.least, self.most):
            block = inputs.iloc[rows] if hasattr(inputs, "iloc") else inputs[rows]
            beside = () if self._label is None or blocks else (self._label,)
            given, *others = answered(self.session.run, [self.output, *beside], feeds(block, self.inputs))
            labels = np.asarray(others[0])[:n_records] if others else labels
            if isinstance(given, list) and len(given) == len(rows) and isinstance(given[0], dict):
                names = tuple(given[0])
                given = np.array([[row[name] for name in names] for row in given])
                format = replace(format, columns=names) if format.columns is None else format
            given = np.asarray(given)
            if given.ndim == 0 or len(given) != len(rows):
                raise TargetError(
                    f"Expected an answer for each of {len(rows)} records, found shape {given.shape} as "
                    f"{self.output}; export the model so that its first axis is the records."
                )
            blocks.append(given[:n_records])
        whole = np.concatenate(blocks) if blocks else self._none()
        self.names_classes = format.says_classes(whole)
        read = format.read(whole, len(inputs), self.n_classes, self.classes)
        if labels is not None and format.columns is None and not isinstance(read, PredictedLabels):
            self._refuse_other_order(labels, read.whole()[: len(labels)].argmax(axis=1))
        self._label = None if blocks else self._label  # once is enough
        return read

    def _refuse_other_order(self, labels: np.ndarray, largest: np.ndarray) -> None:
        """Columns have no names, but the graph says of each record which class is predicted, by name.

        Labels that follow another rule than the largest number, such as another threshold, are no other order.
        """
        if labels.shape not in ((len(largest),), (len(largest), 1)):
            return
        codes = self._codes_of(labels)
        most = {int(code): int(np.bincount(largest[codes == code]).argmax()) for code in np.unique(codes)}
        if len(most) > 1 and len(set(most.values())) == len(most) and any(a != b for a, b in most.items()):
            code = next(code for code, column in most.items() if code != column)
            name = code if self.classes is None else self.classes[code]
            raise TargetError(
                f"Expected columns of {self.output} in the order of the records' classes, found that the graph "
                f"predicts {name} where column {most[code] + 1} of them is the largest; declare the classes in the "
                "order of the columns (classes in [target], columns of AnswerFormat)."
            )

    def _codes_of(self, labels: np.ndarray) -> np.ndarray:
        """Predicted classes, by name, or by number where the graph was trained on codes of classes such as 1, 2, 3."""
        read = AnswerFormat(PredictedLabels).read
        try:
            return read(labels, len(labels), self.n_classes, self.classes).whole()
        except TargetError:
            if labels.dtype.kind in "iu" and labels.min() >= 0 and labels.max() < self.n_classes:
                return labels.reshape(-1)
            raise

    def _none(self) -> np.ndarray:
        """The answers for no records."""
        if self.format.kind is PredictedLabels:
            return np.empty(0, dtype=np.int64)
        return np.empty((0, self.n_classes if self.format.columns is None else len(self.format.columns)))


# ------------------------------------------------------------------------- what a graph is given


@dataclass(frozen=True)
class GraphInput:
    """An input of a graph.

    Attributes:
        name: Its name.
        dtype: What it takes; object for text.
        shape: Its axes, records first; None where any size will do.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]


def inputs_of(session: Any) -> tuple[GraphInput, ...]:
    """Return the inputs of a session.

    Raises:
        UnsupportedModelError: One takes no array that records could be.
    """
    inputs = []
    for entry in session.get_inputs():
        if entry.type not in _TYPES or not entry.shape:
            raise UnsupportedModelError(
                f"Expected inputs that are arrays of numbers or text, records first, found {entry.type} of shape "
                f"{entry.shape} as {entry.name}; export the model with such inputs."
            )
        shape = tuple(size if isinstance(size, int) else None for size in entry.shape)
        inputs.append(GraphInput(entry.name, _TYPES[entry.type], shape))
    return tuple(inputs)


def feeds(records: Any, wanted: Sequence[GraphInput]) -> Mapping[str, np.ndarray]:
    """Return what to give to each input.

    Args:
        records: An array, or a table whose columns have the names of the inputs if there are several.
        wanted: The inputs.

    Raises:
        InputError: There is no column for an input, or its values are not of its type.
        TargetError: The records have another shape.
    """
    is_table = hasattr(records, "columns")
    records = records if is_table else dense(records)
    records = records.reshape(-1, 1) if records.ndim == 1 else records
    if len(wanted) == 1 and not (is_table and list(records.columns) == [wanted[0].name]):
        return {wanted[0].name: _fitted(records.to_numpy() if is_table else records, wanted[0])}
    names, missing = [e.name for e in wanted], [e.name for e in wanted if is_table and e.name not in records.columns]
    refuse_if(
        (
            not is_table,
            f"Expected a table with a column for each of the graph's inputs, {few(names, 5)}, found an array; give a "
            "DataFrame.",
        ),
        (
            missing,
            f"Expected a column for each of the graph's inputs, found none for {few(missing, 5)}; name the columns as "
            "the model's inputs.",
        ),
    )
    columns = {entry: np.asarray(records[entry.name].to_numpy()) for entry in wanted}
    return {e.name: _fitted(c.reshape(-1, 1) if len(e.shape) == 2 else c, e) for e, c in columns.items()}


def _fitted(values: np.ndarray, wanted: GraphInput) -> np.ndarray:
    cure = "give the records as the model was exported for them."
    check_record_shape(values.shape[1:], wanted.shape[1:], f" for the graph's input {wanted.name}", cure)
    return _text(values, wanted) if wanted.dtype.kind == "O" else _numbers(values, wanted)


def _text(values: np.ndarray, wanted: GraphInput) -> np.ndarray:
    if values.dtype.kind == "f":
        raise InputError(f"Expected text for the graph's input {wanted.name}, found {values.dtype}; give text.")
    if values.dtype.kind == "O":
        refuse_missing(np.array([v is None or v != v for v in values.flat], dtype=bool), wanted.name)
    return np.array([str(v) for v in values.flat], dtype=object).reshape(values.shape)


def _numbers(values: np.ndarray, wanted: GraphInput) -> np.ndarray:
    cure = "convert the column, or export the model for these values."
    if values.dtype.kind == "O":
        with suppress(TypeError, ValueError):
            values = values.astype(np.float64)
    if values.dtype.kind not in "biuf":
        raise InputError(f"Expected numbers for the graph's input {wanted.name}, found {values.dtype}; {cure}")
    if wanted.dtype.kind == "f":
        return np.ascontiguousarray(values, dtype=wanted.dtype)
    with np.errstate(invalid="ignore"):
        whole = np.ascontiguousarray(values, dtype=wanted.dtype)
    wrong = whole != values
    if wrong.any():
        raise InputError(
            f"Expected whole numbers ({wanted.dtype}) for the graph's input {wanted.name}, found {values[wrong][0]}; "
            f"{cure}"
        )
    return whole
