"""The laws of defences of answers, each a check that says by name what is broken."""

import json
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from vestige.core.answer_defence import AnswerDefence, FittedDefence, table_of
from vestige.core.errors import InputError
from vestige.core.messages import brief
from vestige.core.outputs import Logits, PredictedLabels, Probabilities
from vestige.core.recipe import Recipe
from vestige.core.records import Records
from vestige.testing.laws import BrokenLawError
from vestige.testing.recipes import RecipeReport, check_recipe

_N, _N_CLASSES = 60, 5
_ROUNDED = 0.5  # what rounding to one digit may add to a sum, or take from it
_LAWS = ("answers", "one by one", "asked twice", "inputs unchanged", "labels", "certain answers", "identity")


@dataclass(frozen=True, kw_only=True)
class DefenceReport:
    """What was seen of a defence of answers that keeps every law.

    Attributes:
        defence: Name of its class.
        laws: The laws that it was held to.
        labels_changed: Share of answers whose predicted class is another one.
        moved: Mean distance of an answer to what it was, the sum over classes [1]; 0 changes nothing.
    """

    defence: str
    laws: tuple[str, ...]
    labels_changed: float
    moved: float

    def __str__(self) -> str:
        """All of it, a line each."""
        seen = f"{self.labels_changed:.1%} of the labels changed, answers moved by {self.moved:.3f} in the mean"
        return "\n".join((f"{self.defence} keeps the laws: {', '.join(self.laws)}", seen))


@overload
def check_defence(defence: AnswerDefence, *, seed: int = 0) -> DefenceReport: ...
@overload
def check_defence(defence: Recipe, *, records: Records | None = None, seed: int = 0) -> RecipeReport: ...
def check_defence(
    defence: AnswerDefence | Recipe, *, records: Records | None = None, seed: int = 0
) -> DefenceReport | RecipeReport:
    """Hold a defence to the laws that every one of ours keeps.

    One that trains is a recipe, and is held to those of `check_recipe`. One of answers:

    - `answers`: probabilities of every class that sum to 1, but for rounding, or predicted labels, one for each record;
    - `one by one`: an answer does not depend on which others stand beside it, or in which order;
    - `asked twice`: the same answer is defended alike;
    - `inputs unchanged`: raw answers stay as they were, for other defences;
    - `labels`: where it says that it keeps them, it does;
    - `certain answers`: probabilities of exactly 0 and 1 and logits of +-100 are defended too;
    - `identity`: it is JSON, and the same each time.

    Args:
        defence: The defence. One that is fitted is fitted to planted answers first.
        records: What a recipe is to train on; planted ones if omitted.
        seed: Of these answers or records.

    Returns:
        What was seen.

    Raises:
        BrokenLawError: It breaks a law; the message says which, and what was seen.
        InputError: It is no defence.

    Example:
        >>> from vestige.defences import Rounded
        >>> report = check_defence(Rounded(1))
        >>> report.defence, report.moved > 0
        ('Rounded', True)
    """
    if isinstance(defence, Recipe) and not isinstance(defence, type):
        return check_recipe(defence, records, seed=seed)
    if isinstance(defence, type) or not isinstance(defence, AnswerDefence):
        raise InputError(
            f"Expected a defence of answers, found {type(defence).__name__}; it has keeps_labels, identity() and is "
            "called with answers. One that trains is a recipe."
        )
    return _checked(defence, seed)


def _checked(defence: AnswerDefence, seed: int) -> DefenceReport:
    """Hold a defence of answers to the laws."""
    name, rng = type(defence).__name__, np.random.default_rng(seed)
    logits = rng.normal(scale=3, size=(3 * _N, _N_CLASSES))
    if isinstance(defence, FittedDefence) and not defence.is_fitted:
        defence = defence.fitted(Logits(logits[_N : 2 * _N] * 2), Logits(logits[2 * _N :]), seed)
    raw = logits[:_N]
    there = _defended("answers", defence, Logits(raw.copy()))
    order = rng.permutation(_N)
    apart = np.concatenate([_defended("one by one", defence, Logits(raw[[i]])) for i in order])
    _hold(np.array_equal(apart, there[order]), "one by one", name, "a record's answer depends on those beside it.")
    again = _defended("asked twice", defence, Logits(raw.copy()))
    _hold(
        np.array_equal(again, there), "asked twice", name, "the same answers came back otherwise; draw from a digest."
    )
    given = raw.copy()
    _defended("inputs unchanged", defence, Logits(given))
    _hold(np.array_equal(given, raw), "inputs unchanged", name, "it writes into the answers; work on a copy.")
    changed = _labels(there) != raw.argmax(axis=1)
    _hold(not (defence.keeps_labels and changed.any()), "labels", name, "keeps_labels is True, and some were changed.")
    for certain in (Probabilities(np.eye(_N_CLASSES)), Logits(200.0 * np.eye(_N_CLASSES) - 100)):
        _defended("certain answers", defence, certain)
    _check_identity(defence, name)
    moved = 0.0 if there.ndim == 1 else np.abs(there - table_of(Logits(raw))).sum(axis=1).mean()
    return DefenceReport(defence=name, laws=_LAWS, labels_changed=float(changed.mean()), moved=round(float(moved), 6))


def _labels(table: np.ndarray) -> np.ndarray:
    return table if table.ndim == 1 else np.asarray(table.argmax(axis=1))


def _defended(law: str, defence: AnswerDefence, answers: Any) -> np.ndarray:
    """Return what is answered instead, which must be answers whatever law is being checked."""
    name, n = type(defence).__name__, len(answers.whole())
    try:
        found = defence(answers)
    except Exception as error:
        said = f"it fails with {type(error).__name__}: {brief(str(error), 200)}"
        raise BrokenLawError(law, name, said) from error
    if isinstance(found, Logits):  # as they are, from a defence of strength zero
        found = Probabilities(table_of(found))
    is_table = isinstance(found, Probabilities)
    _hold(is_table or isinstance(found, PredictedLabels), "answers", name, f"it gives {type(found).__name__}.")
    table = np.asarray(found.whole())
    wanted = (n, answers.whole().shape[1]) if is_table else (n,)
    _hold(table.shape == wanted, "answers", name, f"it gives an array of shape {table.shape} for {n} answers.")
    if is_table:
        sums = bool(
            np.isfinite(table).all() and (table >= 0).all() and np.allclose(table.sum(axis=1), 1, atol=_ROUNDED)
        )
        _hold(sums, "certain answers" if law == "certain answers" else "answers", name, "they are no distributions.")
    return table


def _check_identity(defence: AnswerDefence, name: str) -> None:
    try:
        first, second = (json.dumps(dict(defence.identity()), sort_keys=True) for _ in range(2))
    except (TypeError, ValueError) as error:
        raise BrokenLawError("identity", name, f"it cannot be written as JSON: {brief(str(error), 200)}") from None
    _hold(first == second, "identity", name, "it is another one each time.")


def _hold(is_kept: bool, law: str, name: str, message: str) -> None:
    if not is_kept:
        raise BrokenLawError(law, name, message)
