"""An estimator in a skops file; its types are checked before anything is loaded."""

from pathlib import Path
from typing import Any

from vestige.core.errors import UnsupportedModelError, refuse_if
from vestige.core.messages import few
from vestige.core.outputs import PredictedLabels, Probabilities
from vestige.core.skops_types import PACKAGES, foreign_types
from vestige.core.targets import ClassNames, QueryableModel
from vestige.targets.answer_format import AnswerFormat
from vestige.targets.files.apart import ModelApart
from vestige.targets.objects.estimator import LabelEstimatorTarget
from vestige.targets.opening import open_target
from vestige.targets.refusals import reading


def open_skops(path: Path, answers: AnswerFormat | None, n_classes: int, classes: ClassNames) -> QueryableModel:
    """Return a target that asks the estimator in a skops file.

    Args:
        path: The file.
        answers: Probabilities or predicted labels; what the estimator gives if omitted.
        n_classes: Classes of the records.
        classes: Their names.

    Raises:
        InputError: The file is damaged, or holds no fitted classifier.
        UnsupportedModelError: It names types of packages that are not known; nothing was made of it.
    """
    return estimator_target(path, _loaded(path), answers, n_classes, classes)


class EstimatorApart(ModelApart):
    """Asks the estimator in a skops file in a child process, for a damaged forest crashes where one record falls.

    Arguments and errors are those of `open_skops`.

    Attributes:
        estimator: What the child loaded without harm, loaded here too: to be looked at and cloned, not to be asked.
    """

    def __init__(self, path: Path, answers: AnswerFormat | None, n_classes: int, classes: ClassNames) -> None:
        super().__init__("vestige.targets.files.skops_alone", open_skops, path, answers, n_classes, classes)
        self.estimator = _loaded(path)


def _loaded(path: Path) -> Any:
    import skops.io

    content = path.read_bytes()
    with reading(path, "an estimator"):
        types = skops.io.get_untrusted_types(data=content)
        foreign = foreign_types(types)
        estimator = None if foreign else skops.io.loads(content, trusted=types)
    if foreign:
        raise UnsupportedModelError(
            f"Expected an estimator made of {few(PACKAGES)} in {path.name}, found {few(foreign, 3)}; nothing was "
            "loaded. Open it yourself if you trust it, and pass the estimator."
        )
    return estimator


def estimator_target(
    path: Path, estimator: Any, answers: AnswerFormat | None, n_classes: int, classes: ClassNames
) -> QueryableModel:
    """Return a target that asks an estimator, which names its classes itself.

    Raises:
        InputError: It is no fitted classifier, or the answers were said to be something else.
    """
    declared = "" if answers is None else f"{answers.kind.kind}{' of other columns' if answers.columns else ''}"
    refuse_if(
        (
            not hasattr(estimator, "predict") or isinstance(estimator, type),
            f"Expected a fitted classifier in {path.name}, found {type(estimator).__name__}; store that.",
        ),
        (
            answers not in (None, AnswerFormat(Probabilities), AnswerFormat(PredictedLabels)),
            f"Expected probabilities or predicted labels from the estimator in {path.name}, found answers declared as "
            f"{declared}; leave that out, it names its classes itself.",
        ),
    )
    if answers is not None and answers.kind is PredictedLabels:
        return LabelEstimatorTarget(estimator, n_classes, classes)
    return open_target(estimator, n_classes, classes)
