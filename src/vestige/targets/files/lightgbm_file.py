"""A classifier in LightGBM's own text format."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vestige.core.errors import InputError, UnsupportedModelError
from vestige.core.messages import brief
from vestige.core.targets import Interface
from vestige.targets.answer_format import AnswerFormat
from vestige.targets.feature_columns import columns_of_lightgbm
from vestige.targets.files.boosted import BoosterTarget
from vestige.targets.refusals import damaged

_OBJECTIVES = ("binary", "multiclass")  # of "multiclassova" the numbers of a record do not sum to 1


def open_lightgbm(path: Path, answers: AnswerFormat | None, n_classes: int, classes: Sequence[str] | None) -> Interface:
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

    try:
        booster = lightgbm.Booster(model_file=path)
    except (lightgbm.basic.LightGBMError, ValueError, KeyError, TypeError) as error:
        raise damaged(path, "a LightGBM model", error) from None
    if objective not in _OBJECTIVES:
        raise UnsupportedModelError(
            f"Expected a classifier in {path.name}, trained for {' or '.join(_OBJECTIVES)}, found the objective "
            f"{brief(objective) or 'of a function'}; it gives no probabilities that sum to 1."
        )

    def predict(inputs: Any) -> np.ndarray:
        return np.asarray(booster.predict(inputs))

    columns = columns_of_lightgbm(booster)
    return BoosterTarget(predict, booster.num_feature(), columns, answers, n_classes, classes)


def _objective(path: Path) -> str:
    """The objective of a model that is whole, read before the library is asked, which trusts what it is given."""
    objective, first, ended = "", "", False
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines):
            first = line.strip() if number == 0 else first
            if not ended and line.startswith("objective="):
                words = line.removeprefix("objective=").split()
                objective = words[0] if words else ""
            ended = ended or line.startswith("end of trees")
    if first != "tree" or not ended:
        found = "one that was cut" if first == "tree" else "other text"
        raise InputError(
            f"Expected a LightGBM model in {path.name}, found {found}; save it by booster.save_model, or use another "
            "format."
        )
    return objective
