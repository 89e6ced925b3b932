"""What a comparison of defences will cost, before anything is trained."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import takewhile
from time import perf_counter
from typing import Any

import numpy as np

from vestige.attacks import named
from vestige.auditing.comparison.family import UNDEFENDED, Family
from vestige.auditing.comparison.known_half import KnownHalf
from vestige.auditing.comparison.rates import ATTACKS, curve_of, measures_of, scores_in_turn
from vestige.auditing.recipe_audit import cost_of_recipe, refuse_recipe_without_model
from vestige.auditing.references.phi import reference_phi
from vestige.auditing.shadows.settings import ShadowTraining
from vestige.core.answer_defence import AnswerDefence, FittedDefence
from vestige.core.attack import Attack
from vestige.core.errors import InputError
from vestige.core.messages import duration
from vestige.core.outputs import Phi, Probabilities
from vestige.core.predictions import Predictions
from vestige.core.probabilities import softmax
from vestige.core.recipe import Recipe
from vestige.core.records import Records
from vestige.core.references import References
from vestige.data.sets.designs import balanced_groups

_MEASURED, _WARM = 4_000, 200  # records at most that are attacked, and attacked before
_DEFENDED = (64, 512)  # answers that are defended
_CHECKPOINTS = 12  # at most, of undefended models, among which those like a defended one are looked for


def lines_of_cost(
    records: Records, training: ShadowTraining, defences: Mapping[str, Recipe | AnswerDefence], seed: int
) -> list[str]:
    """Return what the models of a comparison will cost, a line each; errors as `audit_recipe`."""
    undefended = refuse_recipe_without_model(training)
    recipes = {UNDEFENDED: undefended} | {n: one for n, one in defences.items() if isinstance(one, Recipe)}
    lines, seconds = [], 0.0
    begun = perf_counter()
    for name, recipe in recipes.items():
        checkpoints = checkpoints_of(recipe) if name == UNDEFENDED else ()
        cost = cost_of_recipe(records, replace(training, recipe=recipe, checkpoints=checkpoints), seed)
        seconds += cost.seconds
        lines += [f"{name}: {line}" for line in cost.lines()]
    lines += [
        f"{name}: no models of its own, it stands before those of none" for name in defences if name not in recipes
    ]
    measuring = perf_counter() - begun
    attacks = _seconds_of_attacks(records, training, defences)
    answers = sum(
        _seconds_of_answers(one, records, training.n_models)
        for one in defences.values()
        if isinstance(one, AnswerDefence)
    )
    return [
        *lines,
        f"All models: {duration(seconds)}.",
        f"Attacks on each model in turn: {duration(attacks)}, and defending answers: {duration(answers)}; measured on "
        "answers drawn at random.",
        f"In all: {duration(seconds + measuring + attacks + answers)}, of which {duration(measuring)} are for "
        "measuring how fast models can be trained, as was done now.",
    ]


def checkpoints_of(recipe: Recipe) -> tuple[int, ...]:
    """Return epochs from 1 to the last but one; none where a recipe counts none, or a rule may stop before one."""
    epochs = getattr(recipe, "epochs", None)
    if epochs is None or epochs < 2 or getattr(recipe, "stop", None) is not None:
        return ()
    return tuple(np.unique(np.linspace(1, epochs - 1, min(_CHECKPOINTS, epochs - 1)).round().astype(int)).tolist())


# ------------------------------------------------------------------------------------------- what is not training


def _seconds_of_attacks(
    records: Records, training: ShadowTraining, defences: Mapping[str, Recipe | AnswerDefence]
) -> float:
    """Time of all attacks, from those on one model whose answers, and those of as many others, are drawn at random.

    Models under each defence are attacked by models of their own, which attacks learn from anew, and by undefended
    ones; early-stopped ones, one for every recipe at the most, and undefended ones by their own. Half of the records of
    each model are learnt from as well.
    """
    attacks, n = [named(name) for name in ATTACKS], min(records.n_records, _MEASURED)
    family = _imitated(n, training)
    learnt: dict[int, dict[str, Any]] = {}
    _attack_one(_imitated(_WARM, training), attacks, {})  # what is done once, such as imports, does not count
    times = [perf_counter()]
    for _ in range(2):
        _attack_one(family, attacks, learnt)
        times.append(perf_counter())
    answers = Probabilities(softmax(3 * np.random.default_rng(0).normal(size=(n, records.n_classes))))
    some = Records(np.zeros((n, 1)), np.arange(n) % records.n_classes)
    KnownHalf(attacks, 0).of([answers], some, family.is_in[:1], family.numbers[:1])
    times.append(perf_counter())
    learning, again, from_half = np.diff(times).tolist()
    n_early = (
        sum(isinstance(one, Recipe) for one in defences.values())
        if checkpoints_of(refuse_recipe_without_model(training))
        else 0
    )
    of_model = (1 + len(defences) + n_early) * (learning + from_half) + len(defences) * again
    return float(training.n_models * of_model * records.n_records / n)


def _attack_one(family: Family, attacks: Sequence[Attack], learnt: dict[int, dict[str, Any]]) -> None:
    first = family.numbers[0]
    for scored in takewhile(lambda one: one.model == first, scores_in_turn(family, family, attacks, learnt)):
        measures_of(scored, curve_of(scored))


def _imitated(n: int, training: ShadowTraining) -> Family:
    """Models that answer at random, in the design of the comparison."""
    rng, size = np.random.default_rng(0), training.fraction.denominator
    is_in = balanced_groups(-(-training.n_models // size) * size, n, share=training.fraction, seed=0)
    phi, draws = rng.normal(size=is_in.shape) + is_in, np.arange(len(is_in)) // size
    target = Predictions([Phi(phi[0])], labels=np.zeros(n, dtype=np.int64), member=is_in[0])
    return Family(
        name=UNDEFENDED,
        numbers=np.arange(len(is_in)),
        draws=draws,
        is_in=is_in,
        correct=phi > 0,
        observed=reference_phi(References(Phi, phi, is_in, groups=draws), target),
    )


def _seconds_of_answers(defence: AnswerDefence, records: Records, n_models: int) -> float:
    """Time to fit a defence to each model and to defend its answers, from two lots drawn at random.

    Many answers at once take less time each, so the time is a straight line in their number, which begins above 0.
    """
    few, more = (min(records.n_records, n) for n in _DEFENDED)
    of_few, of_more = (_seconds_of_defending(defence, n, records.n_classes) for n in (few, more))
    each = max(of_more - of_few, 0.0) / max(more - few, 1)
    return n_models * (of_more + each * (records.n_records - more))


def _seconds_of_defending(defence: AnswerDefence, n: int, n_classes: int) -> float:
    answers = softmax(3 * np.random.default_rng(0).normal(size=(n, n_classes)))
    begun = perf_counter()
    with suppress(InputError):  # it is refused where it is used
        if isinstance(defence, FittedDefence) and not defence.is_fitted:
            defence = defence.fitted(Probabilities(answers[::2]), Probabilities(answers[1::2]), 0)
        defence(Probabilities(answers))
    return perf_counter() - begun
