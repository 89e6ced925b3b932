"""Boosters of XGBoost and LightGBM as their libraries hold them, asked for probabilities.

XGBoost's Booster does not hold which number stands for a missing value, if it is another one than NaN: give such
records NaN. Nor does it hold margins that training began from (base_margin): ask such a model as a function that adds
them.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from scipy.special import expit, softmax

from vestige.core.errors import TargetError, UnsupportedModelError, refusing
from vestige.core.estimators import ONE_AGAINST_ALL
from vestige.core.messages import brief
from vestige.core.targets import ClassNames, QueryableModel
from vestige.targets.answer_format import ROWS_DIVIDED, AnswerFormat, divided_by_sums
from vestige.targets.feature_columns import FeatureColumns, columns_of_lightgbm, columns_of_xgboost
from vestige.targets.objects.function import FunctionTarget
from vestige.targets.refusals import reason

_OF_XGBOOST: dict[str, Callable[[np.ndarray], Any] | None] = {
    "binary:logistic": None,
    "multi:softprob": None,
    "multi:softmax": lambda margins: softmax(margins, axis=1),  # it answers with labels, unless asked for margins
    "binary:logitraw": expit,
}
"""Of objectives of classifiers: how probabilities are made of margins; None where they are what is answered."""

_OF_LIGHTGBM = ("binary", "multiclass", "multiclassova")


def library_of(booster: Any) -> str | None:
    """Return the library whose Booster this is; None of anything else."""
    of = type(booster).__module__.partition(".")[0]
    return of if type(booster).__name__ == "Booster" and of in ("lightgbm", "xgboost") else None


def booster_target(
    booster: Any, what: str, answers: AnswerFormat | None, n_classes: int, classes: ClassNames
) -> QueryableModel:
    """Return a target that asks a booster for probabilities, by classes in the order 0..K-1 it was trained on.

    Args:
        booster: Of LightGBM or XGBoost.
        what: Where it is from, for messages.
        answers: Names of its classes, if their order is not that of the records.
        n_classes: Classes of the records.
        classes: Their names.

    Raises:
        InputError: It is not trained.
        UnsupportedModelError: The objective is not that of a classifier.
    """
    of = _of_xgboost if library_of(booster) == "xgboost" else _of_lightgbm
    with refusing(Exception, lambda error: f"Expected a trained booster in {what}, found: {reason(error)}."):
        return of(booster, what, answers, n_classes, classes)


def _of_xgboost(
    booster: Any, what: str, answers: AnswerFormat | None, n_classes: int, classes: ClassNames
) -> QueryableModel:
    import xgboost

    objective = json.loads(booster.save_config())["learner"]["objective"]["name"]
    refuse_other_than(_OF_XGBOOST, objective, what)
    of_margins, rounds = _OF_XGBOOST[objective], _rounds(booster)

    def predict(inputs: Any) -> Any:
        table = hasattr(inputs, "columns")
        data = xgboost.DMatrix(inputs, enable_categorical=table)
        numbers = booster.predict(
            data, output_margin=of_margins is not None, iteration_range=rounds, validate_features=table
        )
        return numbers if of_margins is None else of_margins(numbers)

    return _asked(predict, booster.num_features(), columns_of_xgboost(booster), answers, n_classes, classes)


def _rounds(booster: Any) -> tuple[int, int]:
    """Which rounds answer: of a wrapper that stopped early those up to its best, as it predicts itself; else all."""
    attributes = booster.attributes()
    if "scikit_learn" in attributes and "best_iteration" in attributes:
        return 0, int(attributes["best_iteration"]) + 1
    return 0, 0


def _of_lightgbm(
    booster: Any, what: str, answers: AnswerFormat | None, n_classes: int, classes: ClassNames
) -> QueryableModel:
    objective = objective_of_lightgbm(booster.model_to_string(num_iteration=1).splitlines())
    refuse_other_than(_OF_LIGHTGBM, objective, what)
    predict = booster.predict
    if objective in ONE_AGAINST_ALL:

        def predict(inputs: Any) -> Any:
            return divided_by_sums(booster.predict(inputs))

    columns = columns_of_lightgbm(booster)
    target = _asked(predict, booster.num_feature(), columns, answers, n_classes, classes)
    target.remarks = (ROWS_DIVIDED,) if objective in ONE_AGAINST_ALL else ()
    return target


def objective_of_lightgbm(lines: Iterable[str]) -> str:
    """Return the objective in the text of a model, before its trees end; empty if it names none."""
    named = (line.removeprefix("objective=") for line in lines if line.startswith("objective="))
    return "".join(next(named, "").split()[:1])


def refuse_other_than(known: Sequence[str] | dict[str, Any], objective: str, what: str) -> None:
    """Refuse a booster that was trained for another objective than those that give a probability per class.

    Raises:
        UnsupportedModelError: It was.
    """
    if objective not in known:
        raise UnsupportedModelError(
            f"Expected a classifier in {what}, trained for {' or '.join(known)}, found the objective "
            f"{brief(objective) or 'of a function'}; it gives no probability per class."
        )


def _asked(
    predict: Callable[[Any], Any],
    n_features: int,
    columns: FeatureColumns,
    answers: AnswerFormat | None,
    n_classes: int,
    classes: ClassNames,
) -> FunctionTarget:
    """Ask a booster for probabilities: one number per record of two classes, else a number per class.

    Args:
        predict: Returns probabilities for inputs in the order of the features.
        n_features: Features that it was trained on.
        columns: What a table of them is.
        answers: Which column is which class.
        n_classes: Classes of the records.
        classes: Their names.
    """

    def probabilities(inputs: Any) -> Any:
        inputs = columns.fitted(inputs)  # which knows the names of columns that are one too many
        shape = tuple(inputs.shape)
        if len(shape) != 2 or shape[1] != n_features:
            given = f"{shape[1]:,}" if len(shape) == 2 else f"shape {shape}"
            raise TargetError(
                f"Expected records of {n_features:,} features, which the model was trained on, found {given}; give the "
                "records as the model was trained on them, and name ids as data.id."
            )
        return predict(inputs) if shape[0] else np.empty((0, n_classes))

    return FunctionTarget(probabilities, n_classes, classes, answers)
