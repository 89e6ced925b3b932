"""What an estimator of scikit-learn's conventions is, as far as it shows: its kind, its classes, its last step."""

import json
from contextlib import suppress
from typing import Any

import numpy as np

from vestige.core.errors import UnsupportedModelError

_KINDS = {
    "regressor": "regression is",
    "clusterer": "clustering is",
    "outlier_detector": "outlier detection is",
    "density_estimator": "density estimation is",
}
_INTENSITIES = {"cross_entropy_lambda", "xentlambda"}
_OF_SEVERAL = "several labels per record are"
ONE_AGAINST_ALL = ("multiclassova", "multiclass_ova", "ova", "ovr", "MultiClassOneVsAll")
"""Objectives of LightGBM and CatBoost that tell each class from all others."""


def refuse_unsupported(estimator: Any) -> None:
    """Refuse estimators that are no classifiers of one label, by name.

    Raises:
        UnsupportedModelError: It is one.
    """
    last = last_step(estimator)
    kind = getattr(estimator, "_estimator_type", None)
    if kind is None and hasattr(type(estimator), "__sklearn_tags__"):
        with suppress(Exception):  # of a class that says less than it should
            kind = estimator.__sklearn_tags__().estimator_type
    what = _KINDS.get(str(kind), _OF_SEVERAL if _has_several_labels(last) else "")
    if _objectives(last) & _INTENSITIES:
        what = "its objective cross_entropy_lambda, which gives intensities of any size and no probabilities, is"
    if what:
        raise UnsupportedModelError(
            f"Expected a classifier of one label per record, found {type(last).__name__}; {what} not supported."
        )


def last_step(estimator: Any) -> Any:
    """Return the estimator that decides: the best of a search, the last of a Pipeline."""
    best = getattr(estimator, "best_estimator_", None)
    steps = getattr(estimator, "steps", None)  # of others it may be a number, such as how often they stepped
    if best is None and isinstance(steps, list) and hasattr(estimator, "named_steps"):
        best = steps[-1][1]
    return estimator if best is None or isinstance(best, str) else last_step(best)


def _has_several_labels(estimator: Any) -> bool:
    classes = getattr(estimator, "classes_", None)
    if isinstance(classes, list) and classes and np.ndim(classes[0]):
        return True
    if _objectives(estimator) & {"MultiLogloss", "MultiCrossEntropy"}:  # of CatBoost
        return True
    with suppress(Exception):  # one that is not fitted
        config = json.loads(estimator.get_booster().save_config())  # of XGBoost
        return int(config["learner"]["learner_model_param"]["num_target"]) > 1
    binarizers = (getattr(estimator, name, None) for name in ("_label_binarizer", "label_binarizer_"))
    return any(str(getattr(binarizer, "y_type_", "")).startswith("multilabel") for binarizer in binarizers)


def _parameters(estimator: Any) -> dict[str, Any]:
    with suppress(Exception):
        return dict(estimator.get_params(deep=False))
    return {}


def is_one_against_all(estimator: Any) -> bool:
    """Whether a model tells each class from all others, so that the numbers of a record need not sum to 1."""
    return not _objectives(last_step(estimator)).isdisjoint(ONE_AGAINST_ALL)


def _objectives(estimator: Any) -> set[str]:
    """What a booster was trained for, by its wrapper's names for it."""
    given = _parameters(estimator)
    said = (getattr(estimator, "objective_", None), given.get("objective"), given.get("loss_function"))
    return {name for name in said if isinstance(name, str)}
