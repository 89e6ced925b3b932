"""A model in a file as a door: the suffix says which format it is, and each format is one module."""

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

from vestige.core.errors import InputError
from vestige.core.messages import brief
from vestige.core.targets import Interface
from vestige.targets.answer_format import AnswerFormat
from vestige.targets.files.apart import InterfaceApart
from vestige.targets.refusals import missing_package


@dataclass(frozen=True)
class ModelFile:
    """A model in a file; nothing in it is run unless it is a pickle that the user trusts.

    Attributes:
        path: The file. Its suffix names the format: `.onnx`, `.pt2`, `.safetensors`, `.pt` or `.pth` (weights),
            `.skops`, `.json` or `.ubj` (XGBoost), `.txt` (LightGBM), `.joblib`, `.pkl` or `.pickle`.
        answers: What it answers with. If omitted: logits of torch, probabilities of boosters, what an estimator has,
            and of ONNX the output that is called probabilities.
        factory: Makes the module that weights belong to.
        trust_pickle: Whether a pickle may be loaded, which can run any code.
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
                f"vestige.AnswerFormat(vestige.Logits), found {self.answers!r}."
            )

    def interface(self, n_classes: int, classes: Sequence[str] | None = None) -> Interface:
        """Return the interface of the model.

        Args:
            n_classes: Classes of the records it is asked about.
            classes: Their names, if they have some.

        Raises:
            InputError: There is no such file, it is damaged, or something that its format needs is missing.
            UnsupportedModelError: It could run code, or is no classifier, or the package that opens it is missing.
        """
        path = _existing(Path(self.path))
        open_format = _FORMATS[path.suffix.lower()]
        for option, accepted in ((self.factory, _weights), (self.output, _onnx)):
            if option is not None and open_format is not accepted:
                name, suffixes = ("a factory", _suffixes(_weights)) if accepted is _weights else ("an output", ".onnx")
                raise InputError(
                    f"Expected {name} for {suffixes} alone, found one beside {brief(path.name)}; leave it out."
                )
        return open_format(self, path, n_classes, classes)


Opened = Callable[[ModelFile, Path, int, Sequence[str] | None], Interface]


def _existing(path: Path) -> Path:
    known = f"a model file ({', '.join(_FORMATS)})"
    name = brief(path.name or str(path))
    if path.is_dir():
        raise InputError(f"Expected {known}, found the folder {name}; name a file in it.")
    if path.suffix.lower() not in _FORMATS:
        raise InputError(f"Expected {known}, found {name}; export the model to one of these.")
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InputError(f"Expected {known}, found no file {brief(str(path), 200)} ({error.strerror}).") from None
    if size == 0:
        raise InputError(f"Expected {known}, found the empty file {name}; export the model again.")
    return path


def _suffixes(opened: Opened) -> str:
    return ", ".join(suffix for suffix, found in _FORMATS.items() if found is opened)


def _onnx(file: ModelFile, path: Path, n_classes: int, classes: Sequence[str] | None) -> Interface:
    _require("onnxruntime", "an ONNX file", "onnx")
    from vestige.targets.files.onnx_file import open_onnx

    return InterfaceApart("onnxruntime", open_onnx, path, file.answers, file.output, n_classes, classes)


def _program(file: ModelFile, path: Path, n_classes: int, classes: Sequence[str] | None) -> Interface:
    _require("torch", "an exported program", "torch")
    from vestige.targets.files.exported_program import open_program

    return open_program(path, file.answers, n_classes, classes)


def _weights(file: ModelFile, path: Path, n_classes: int, classes: Sequence[str] | None) -> Interface:
    _require("torch", "weights", "torch")
    from vestige.targets.files.torch_weights import open_weights

    return open_weights(path, file.factory, file.answers, n_classes, classes)


def _skops(file: ModelFile, path: Path, n_classes: int, classes: Sequence[str] | None) -> Interface:
    _require("skops", "a skops file", "estimators")
    from vestige.targets.files.estimator_file import EstimatorApart

    return EstimatorApart(path, file.answers, n_classes, classes)


def _xgboost(file: ModelFile, path: Path, n_classes: int, classes: Sequence[str] | None) -> Interface:
    _require("xgboost", "an XGBoost model", "boosting")
    from vestige.targets.files.xgboost_file import open_xgboost

    return InterfaceApart("xgboost", open_xgboost, path, file.answers, n_classes, classes)


def _lightgbm(file: ModelFile, path: Path, n_classes: int, classes: Sequence[str] | None) -> Interface:
    _require("lightgbm", "a LightGBM model", "boosting")
    from vestige.targets.files.lightgbm_file import open_lightgbm

    return InterfaceApart("lightgbm", open_lightgbm, path, file.answers, n_classes, classes)


def _pickle(file: ModelFile, path: Path, n_classes: int, classes: Sequence[str] | None) -> Interface:
    from vestige.targets.files.trusted_pickle import open_pickle

    return open_pickle(path, file.trust_pickle, file.answers, n_classes, classes)


def _require(package: str, what: str, extra: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise missing_package(package, what, extra)


_FORMATS: dict[str, Opened] = {
    ".onnx": _onnx,
    ".pt2": _program,
    ".safetensors": _weights,
    ".pt": _weights,
    ".pth": _weights,
    ".skops": _skops,
    ".json": _xgboost,
    ".ubj": _xgboost,
    ".txt": _lightgbm,
    ".joblib": _pickle,
    ".pkl": _pickle,
    ".pickle": _pickle,
}
