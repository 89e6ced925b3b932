"""Boosters in their libraries' own files: XGBoost's JSON or binary JSON, and LightGBM's text.

XGBoost's format does not hold which number stands for a missing value, if it is another one than NaN: give such records
NaN. Nor does it hold margins that training began from (base_margin): ask such a model as a function that adds them.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit, softmax

from vestige.core.errors import InputError, TargetError, UnsupportedModelError
from vestige.core.messages import brief
from vestige.core.targets import ClassNames, QueryableModel
from vestige.targets.answer_format import AnswerFormat
from vestige.targets.feature_columns import FeatureColumns, columns_of_lightgbm, columns_of_xgboost
from vestige.targets.objects.function import FunctionTarget
from vestige.targets.refusals import reading

_OF_XGBOOST: dict[str, Callable[[np.ndarray], Any] | None] = {
    "binary:logistic": None,
    "multi:softprob": None,
    "multi:softmax": lambda margins: softmax(margins, axis=1),  # it answers with labels, unless asked for margins
    "binary:logitraw": expit,
}
"""Of objectives of classifiers: how probabilities are made of margins; None where they are what is answered."""

_OF_LIGHTGBM = ("binary", "multiclass")  # of "multiclassova" the numbers of a record do not sum to 1


def open_xgboost(path: Path, answers: AnswerFormat | None, n_classes: int, classes: ClassNames) -> QueryableModel:
    """Return a target that asks a booster for probabilities, by classes in the order 0..K-1 it was trained on.

    Args:
        path: A `.json` or `.ubj` file.
        answers: Names of its classes, if their order is not that of the records.
        n_classes: Classes of the records.
        classes: Their names.

    Raises:
        InputError: The file is damaged, or no model of XGBoost.
        UnsupportedModelError: The objective is not that of a classifier.
    """
    import xgboost

    if b'"oblivious_trees"' in path.read_bytes():
        raise InputError(
            f"Expected an XGBoost model in {path.name}, found one of CatBoost; give a function from inputs to "
            "probabilities as module:name, which loads and asks it."
        )
    booster = xgboost.Booster()
    with reading(path, "an XGBoost model"):
        booster.load_model(path)
        objective = json.loads(booster.save_config())["learner"]["objective"]["name"]
    _refuse_other_than(_OF_XGBOOST, objective, path, "probability per class")
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


def open_lightgbm(path: Path, answers: AnswerFormat | None, n_classes: int, classes: ClassNames) -> QueryableModel:
    """Return a target that asks a booster for probabilities, by classes in the order 0..K-1 it was trained on.

    Args:
        path: A `.txt` file.
        answers: Names of its classes, if their order is not that of the records.
        n_classes: Classes of the records.
        classes: Their names.

    Raises:
        InputError: The file is damaged, or no model of LightGBM.
        UnsupportedModelError: The objective is not that of a classifier.
    """
    objective = _objective(path)
    import lightgbm

    with reading(path, "a LightGBM model"):
        booster = lightgbm.Booster(model_file=path)
    _refuse_other_than(_OF_LIGHTGBM, objective, path, "probabilities that sum to 1")
    columns = columns_of_lightgbm(booster)
    return _asked(booster.predict, booster.num_feature(), columns, answers, n_classes, classes)


def _objective(path: Path) -> str:
    """The objective of a model that is whole, read before the library is asked, which trusts what it is given."""
    objective, first, ended = "", "", False
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines):
            first = line.strip() if number == 0 else first
            if not ended and line.startswith("objective="):
                objective = "".join(line.removeprefix("objective=").split()[:1])
            ended = ended or line.startswith("end of trees")
    if first != "tree" or not ended:
        found = "one that was cut" if first == "tree" else "other text"
        raise InputError(
            f"Expected a LightGBM model in {path.name}, found {found}; save it by booster.save_model, or use another "
            "format."
        )
    return objective


def _refuse_other_than(known: Sequence[str] | dict[str, Any], objective: str, path: Path, wanted: str) -> None:
    if objective not in known:
        raise UnsupportedModelError(
            f"Expected a classifier in {path.name}, trained for {' or '.join(known)}, found the objective "
            f"{brief(objective) or 'of a function'}; it gives no {wanted}."
        )


def _asked(
    predict: Callable[[Any], Any],
    n_features: int,
    columns: FeatureColumns,
    answers: AnswerFormat | None,
    n_classes: int,
    classes: ClassNames,
) -> QueryableModel:
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
        return predict(inputs) if len(inputs) else np.empty((0, n_classes))

    return FunctionTarget(probabilities, n_classes, classes, answers)
