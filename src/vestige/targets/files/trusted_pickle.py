"""A model in a pickle, which can run any code when it is loaded: only for files that the user says are their own."""

from pathlib import Path

from vestige.core.targets import ClassNames, QueryableModel
from vestige.targets.answer_format import AnswerFormat
from vestige.targets.files.estimator_file import estimator_target
from vestige.targets.opening import is_torch_module
from vestige.targets.refusals import not_trusted, reading


def open_pickle(
    path: Path, trust: bool, answers: AnswerFormat | None, n_classes: int, classes: ClassNames
) -> QueryableModel:
    """Return a target that asks the model in a pickle.

    Args:
        path: A file of joblib or pickle.
        trust: Whether the user says that the file may run code.
        answers: What the model answers with; what it says itself if omitted.
        n_classes: Classes of the records.
        classes: Their names.

    Raises:
        UnsupportedModelError: It is not trusted; it was not read.
        InputError: It is damaged, or holds no classifier.
    """
    if not trust:
        raise not_trusted(path, "a pickle", ".skops or .onnx")
    import joblib

    with reading(path, "a pickle"):
        model = joblib.load(path)
    if is_torch_module(model):
        from vestige.targets.objects.module_answers import module_target

        return module_target(model.eval(), answers, n_classes, classes)
    return estimator_target(path, model, answers, n_classes, classes)
