"""Any classifier in Python as a model that can be queried."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vestige.core.errors import UnsupportedModelError
from vestige.core.estimators import refuse_unsupported
from vestige.core.targets import ClassNames, ModelSource, QueryableModel
from vestige.targets.answer_format import AnswerFormat
from vestige.targets.objects.booster import booster_target, library_of
from vestige.targets.objects.estimator import EstimatorTarget, LabelEstimatorTarget, MarginTarget
from vestige.targets.objects.function import FunctionTarget

_BY_METHOD: dict[str, type[EstimatorTarget]] = {
    "predict_proba": EstimatorTarget,
    "decision_function": MarginTarget,
    "predict": LabelEstimatorTarget,
}
"""How an estimator is asked, by the first of these methods that it has."""


def open_target(classifier: Any, n_classes: int, classes: ClassNames = None) -> QueryableModel:
    """Return a target that asks a classifier.

    Args:
        classifier: A torch module that gives logits, an estimator with `predict_proba`, `decision_function` or
            `predict`, a Booster of LightGBM or XGBoost, a function from inputs to probabilities (or to `Logits`,
            `Probabilities` or `PredictedLabels`), or the source of a model elsewhere.
        n_classes: Classes of the records it is asked about.
        classes: Their names, if they have some: those of an estimator are matched with them.

    Raises:
        UnsupportedModelError: It is something else, such as a regressor.
    """
    if isinstance(classifier, ModelSource) and not isinstance(classifier, type):
        return classifier.open_model(n_classes, classes)
    if is_torch_module(classifier):
        from vestige.targets.objects.torch_module import TorchTarget

        return TorchTarget(classifier, n_classes)
    if not isinstance(classifier, type):
        if library_of(classifier) is not None:
            return booster_target(classifier, "the given Booster", None, n_classes, classes)
        refuse_unsupported(classifier)
        by = next((target for method, target in _BY_METHOD.items() if hasattr(classifier, method)), None)
        if by is not EstimatorTarget and callable(classifier):
            return FunctionTarget(classifier, n_classes, classes)
        if by is EstimatorTarget or (
            by is not None and (hasattr(classifier, "classes_") or hasattr(classifier, "fit"))
        ):
            return by(classifier, n_classes, classes)
    cure = "wrap it in such a function."
    if isinstance(classifier, str | Path):
        cure = "give vestige.ModelFile(path) for a file, vestige.Endpoint(url) for an address."
    elif hasattr(classifier, "save_model"):
        cure = "save it and give vestige.ModelFile(path), or wrap it in such a function."
    raise UnsupportedModelError(
        f"Expected a torch module, a fitted classifier with predict_proba or predict, or a function from inputs to "
        f"probabilities, found {type(classifier).__name__}; {cure}"
    )


@dataclass(frozen=True)
class DeclaredModel:
    """A torch module or a function, and what it was said to answer with, as a model source."""

    model: Any
    format: AnswerFormat

    def open_model(self, n_classes: int, classes: ClassNames = None) -> QueryableModel:
        """Return the model that can be queried."""
        if is_torch_module(self.model):
            from vestige.targets.objects.module_answers import module_target

            return module_target(self.model, self.format, n_classes, classes)
        return FunctionTarget(self.model, n_classes, classes, self.format)


def is_torch_module(thing: Any) -> bool:
    """Whether this is a torch module, which cannot be before torch was imported."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(thing, torch.nn.Module)
