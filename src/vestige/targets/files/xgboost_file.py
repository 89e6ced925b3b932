"""A classifier in XGBoost's own format, as JSON or binary JSON: saved by a booster or by its scikit-learn wrapper.

The format does not hold which number stands for a missing value, if it is another one than NaN: give such records NaN.
Nor does it hold margins that training began from (base_margin): ask such a model as a function that adds them.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit, softmax

from vestige.core.errors import UnsupportedModelError
from vestige.core.messages import brief
from vestige.core.targets import Interface
from vestige.targets.answer_format import AnswerFormat
from vestige.targets.feature_columns import columns_of_xgboost
from vestige.targets.files.boosted import BoosterTarget
from vestige.targets.refusals import damaged


def _as_it_is(found: np.ndarray) -> np.ndarray:
    return found


def _softmax(margins: np.ndarray) -> np.ndarray:
    return np.asarray(softmax(margins, axis=1))


def _sigmoid(margins: np.ndarray) -> np.ndarray:
    return np.asarray(expit(margins))


_OBJECTIVES: dict[str, tuple[bool, Callable[[np.ndarray], np.ndarray]]] = {
    "binary:logistic": (False, _as_it_is),
    "multi:softprob": (False, _as_it_is),
    "multi:softmax": (True, _softmax),  # answers with labels, unless it is asked for what stands before them
    "binary:logitraw": (True, _sigmoid),
}
"""Of objectives of classifiers: whether to ask for margins, and how probabilities are made of what is answered."""


def open_xgboost(path: Path, answers: AnswerFormat | None, n_classes: int, classes: Sequence[str] | None) -> Interface:
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

    booster = xgboost.Booster()
    try:
        booster.load_model(path)
        objective = json.loads(booster.save_config())["learner"]["objective"]["name"]
    except (xgboost.core.XGBoostError, ValueError, KeyError, TypeError) as error:
        raise damaged(path, "an XGBoost model", error) from None
    if objective not in _OBJECTIVES:
        raise UnsupportedModelError(
            f"Expected a classifier in {path.name}, trained for {' or '.join(_OBJECTIVES)}, found the objective "
            f"{brief(objective)}; it gives no probability per class."
        )
    margins, probabilities = _OBJECTIVES[objective]
    rounds = _rounds(booster)

    def predict(inputs: Any) -> np.ndarray:
        table = hasattr(inputs, "columns")
        data = xgboost.DMatrix(inputs, enable_categorical=table)
        found = booster.predict(data, output_margin=margins, iteration_range=rounds, validate_features=table)
        return probabilities(found)

    columns = columns_of_xgboost(booster)
    return BoosterTarget(predict, booster.num_features(), columns, answers, n_classes, classes)


def _rounds(booster: Any) -> tuple[int, int]:
    """Which rounds answer: of a wrapper that stopped early those up to its best, as it predicts itself; else all."""
    attributes = booster.attributes()
    if "scikit_learn" in attributes and "best_iteration" in attributes:
        return 0, int(attributes["best_iteration"]) + 1
    return 0, 0
