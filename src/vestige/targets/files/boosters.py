"""Boosters in their libraries' own files: XGBoost's JSON or binary JSON, and LightGBM's text."""

from pathlib import Path

from vestige.core.errors import InputError
from vestige.core.targets import ClassNames, QueryableModel
from vestige.targets.answer_format import AnswerFormat
from vestige.targets.objects.booster import booster_target
from vestige.targets.refusals import reading


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
        booster.save_config()
    return booster_target(booster, path.name, answers, n_classes, classes)


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
    _refuse_cut(path)
    import lightgbm

    with reading(path, "a LightGBM model"):
        booster = lightgbm.Booster(model_file=path)
    return booster_target(booster, path.name, answers, n_classes, classes)


def _refuse_cut(path: Path) -> None:
    """Refuse a model that is not whole before the library is asked, which trusts what it is given."""
    with path.open(encoding="utf-8", errors="replace") as lines:
        first = next(lines, "").strip()
        ended = any(line.startswith("end of trees") for line in lines)
    if first != "tree" or not ended:
        found = "one that was cut" if first == "tree" else "other text"
        raise InputError(
            f"Expected a LightGBM model in {path.name}, found {found}; save it by booster.save_model, or use another "
            "format."
        )
