"""A file as a model source: its suffix says which format it is, and each format is one module."""

import importlib
import importlib.util
import zipfile
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from vestige.core.errors import InputError, refuse_if
from vestige.core.messages import brief
from vestige.core.targets import ClassNames, QueryableModel
from vestige.targets.answer_format import AnswerFormat
from vestige.targets.files.apart import ModelApart
from vestige.targets.refusals import missing_package


@dataclass(frozen=True)
class ModelFile:
    """A model in a file; nothing in it is run unless it is a pickle or an exported program that the user trusts.

    Attributes:
        path: The file. Its suffix names the format: `.onnx`, `.pt2`, `.safetensors`, `.pt` or `.pth` (weights),
            `.skops`, `.json` or `.ubj` (XGBoost), `.txt` (LightGBM), `.joblib`, `.pkl` or `.pickle`.
        answers: What it answers with. If omitted: logits of torch, probabilities of boosters, what an estimator has,
            and of ONNX the output that is called probabilities.
        factory: Makes the module that weights belong to.
        trust_pickle: Whether a pickle or a `.pt2` may be loaded, which can run any code.
        output: Name of the output of an ONNX graph that is read, if there are several it could be.

    Raises:
        InputError: `answers` is no AnswerFormat.
    """

    path: str | Path
    answers: AnswerFormat | None = None
    _: KW_ONLY
    factory: Callable[[], Any] | None = None
    trust_pickle: bool = False
    output: str | None = None

    def __post_init__(self) -> None:
        if self.answers is not None and not isinstance(self.answers, AnswerFormat):
            raise InputError(
                f"Expected an AnswerFormat as answers of {brief(Path(self.path).name)}, such as "
                f"AnswerFormat(Logits), found {self.answers!r}."
            )

    def open_model(self, n_classes: int, classes: ClassNames = None) -> QueryableModel:
        """Return the model, ready to be queried.

        Args:
            n_classes: Classes of the records it is asked about.
            classes: Their names, if they have some.

        Raises:
            InputError: There is no such file, it is damaged, or something that its format needs is missing.
            UnsupportedModelError: It could run code, or is no classifier, or the package that opens it is missing.
        """
        path = _existing(Path(self.path))
        format = _format_of(path)
        for option, what, of in (("factory", "a factory", _WEIGHTS), ("output", "an output", _ONNX)):
            if getattr(self, option) is not None and format is not of:
                suffixes = ", ".join(suffix for suffix, model in _FORMATS.items() if model is of)
                raise InputError(
                    f"Expected {what} for {suffixes} alone, found one beside {brief(path.name)}; leave it out."
                )
        if format.needs is not None and importlib.util.find_spec(format.needs[0]) is None:
            raise missing_package(*format.needs)
        module, _, function = format.opened_by.partition(":")
        opened = getattr(importlib.import_module(f"vestige.targets.files.{module}"), function)
        given = [*(getattr(self, name) for name in format.given), n_classes, classes]
        if format.is_apart and format.needs is not None:
            return ModelApart(format.needs[0], opened, path, *given)
        model: QueryableModel = opened(path, *given)
        return model


def _existing(path: Path) -> Path:
    known = f"a model file ({', '.join(_FORMATS)})"
    name = brief(path.name or str(path))
    refuse_if(
        (
            path.is_dir() and not (path / "saved_model.pb").exists(),
            f"Expected {known}, found the folder {name}; name a file in it.",
        ),
        (path.is_dir(), f"Expected {known}, found {name}, a SavedModel folder; {_OF_KERAS}."),
        (path.suffix.lower() not in _FORMATS, f"Expected {known}, found {name}; {_way_through(path)}."),
    )
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InputError(f"Expected {known}, found no file {brief(str(path), 200)} ({error.strerror}).") from None
    if size == 0:
        raise InputError(f"Expected {known}, found the empty file {name}; export the model again.")
    return path


def _way_through(path: Path) -> str:
    """How a model in a format that is not read is audited nevertheless."""
    suffix = path.suffix.lower()
    if suffix in (".h5", ".hdf5", ".keras", ".pb", ".tflite"):
        return _OF_KERAS
    if suffix in (".rds", ".rda", ".rdata"):
        return "R's models are not read: write the predictions as a table, and give it without --model"
    if suffix in (".csv", ".gz", ".tsv", ".parquet", ".npz", ".npy", ".jsonl", ".feather", ".arrow", ".xlsx"):
        return "a table of predictions is given as FILE, without --model; records as --members and --nonmembers"
    if not suffix:
        return f"an object of Python is named module:name, such as {path.name or 'module'}:model"
    return f"export the model to one of these, or {_FUNCTION}"


def _format_of(path: Path) -> "_Format":
    """The format that a suffix names; torch's archives are weights under the name of a pickle too."""
    format = _FORMATS[path.suffix.lower()]
    return _WEIGHTS if format is _PICKLE and zipfile.is_zipfile(path) else format


class _Format(NamedTuple):
    """How files of a format are opened.

    Attributes:
        opened_by: Module beside this one and function in it.
        given: What else of a `ModelFile` the function is given, after the path and before the classes.
        needs: The package, what it is needed for, and the extra that it comes with.
        is_apart: Whether the file is opened and asked in a child process.
    """

    opened_by: str
    given: tuple[str, ...]
    needs: tuple[str, str, str] | None = None
    is_apart: bool = False


_ONNX = _Format("onnx_file:open_onnx", ("answers", "output"), ("onnxruntime", "an ONNX file", "onnx"), True)
_PROGRAM = _Format("torch_files:open_program", ("trust_pickle", "answers"), ("torch", "an exported program", "torch"))
_WEIGHTS = _Format("torch_files:open_weights", ("factory", "answers"), ("torch", "weights", "torch"))
_SKOPS = _Format("estimator_file:EstimatorApart", ("answers",), ("skops", "a skops file", "skops"))
_XGBOOST = _Format("boosters:open_xgboost", ("answers",), ("xgboost", "an XGBoost model", "boosting"), True)
_LIGHTGBM = _Format("boosters:open_lightgbm", ("answers",), ("lightgbm", "a LightGBM model", "boosting"), True)
_PICKLE = _Format("trusted_pickle:open_pickle", ("trust_pickle", "answers"))

_FUNCTION = "give a function from inputs to probabilities as module:name, which loads and asks it"
_OF_KERAS = f"models of Keras and TensorFlow are not read: export it as ONNX (tf2onnx), or {_FUNCTION}"

_FORMATS = {
    ".onnx": _ONNX,
    ".pt2": _PROGRAM,
    ".safetensors": _WEIGHTS,
    ".pt": _WEIGHTS,
    ".pth": _WEIGHTS,
    ".skops": _SKOPS,
    ".json": _XGBOOST,
    ".ubj": _XGBOOST,
    ".txt": _LIGHTGBM,
    ".joblib": _PICKLE,
    ".pkl": _PICKLE,
    ".pickle": _PICKLE,
}
