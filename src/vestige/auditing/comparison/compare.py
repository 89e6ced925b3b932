"""`compare_defences`: what each defence takes from an attacker who adapts to it, and what it costs."""

import math
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vestige.attacks import named
from vestige.auditing.comparison.family import Family, family_of, test_accuracy
from vestige.auditing.comparison.rates import GAP, Interval, interval, of_pairs, rates_in_turn, rates_of_the_worst
from vestige.auditing.recipe_audit import cost_of_recipe, refuse_recipe_without_model
from vestige.auditing.shadows.settings import ShadowTraining
from vestige.auditing.shadows.sources import audited_among, refuse_audited_reference
from vestige.auditing.shadows.training import Shadows
from vestige.auditing.trained_models import trained
from vestige.core.answer_defence import AnswerDefence, FittedDefence
from vestige.core.attack import Attack
from vestige.core.errors import InputError, TrainingError
from vestige.core.messages import duration
from vestige.core.options import Options
from vestige.core.progress import Progress
from vestige.core.recipe import Recipe
from vestige.core.records import Records, as_records
from vestige.report.progress import progress_bar
from vestige.training.bank import Bank
from vestige.training.stopping import matched_epoch

UNDEFENDED, EARLY = "none", "early stopping"
ATTACKS = ("loss", "lira_online", "empirical_bayes_online", "learnt_ratio")
"""What is played beside the gap attack, unless other attacks are asked for."""

_CHECKPOINTS = 12  # at most, of undefended models, among which those like a defended one are looked for
_FEWEST_MODELS = 6  # a target and its partner, and two models on each side
_RATE = "tpr_at_fpr_0.01"
_DANGEROUS = ("/", "\\", "\0")


@dataclass(frozen=True, kw_only=True)
class DefenceRow:
    """One number of the comparison.

    Attributes:
        defence: Its name; `none` without one.
        adversary: `adaptive`, whose models were trained, and answer, under the same defence; `unaware`, whose models
            know no defence; or `any`, for attacks that need no models.
        knows_defence: Whether the adversary knows it.
        attack: Which attack.
        metric: `auc` or `tpr_at_fpr_...`; `..., worst 1 %` of the records most at risk, `..., all, same models` of all
            records by the same models.
        value: Mean over pairs of models, each model in turn the target.
        lower: Of its 95 % interval over pairs.
        upper: Of its 95 % interval over pairs.
        difference: Mean less that without a defence, pair by pair: the same records, and the same training sets.
        difference_lower: Of its 95 % interval over pairs.
        difference_upper: Of its 95 % interval over pairs.
        training_accuracy: Mean over the models.
        test_accuracy: Mean over the models.
        n_models: Models that were attacked.
    """

    defence: str
    adversary: str
    knows_defence: bool
    attack: str
    metric: str
    value: float
    lower: float
    upper: float
    difference: float
    difference_lower: float
    difference_upper: float
    training_accuracy: float
    test_accuracy: float
    n_models: int


@dataclass(frozen=True, kw_only=True, eq=False)
class DefenceComparison:
    """The comparison of several defences on the same records.

    Attributes:
        table: A row per number, with the columns of `DefenceRow`.
        sentences: What it says of each defence, in a sentence each.
        failures: Defences without numbers, and why.
    """

    table: pd.DataFrame
    sentences: tuple[str, ...]
    failures: Mapping[str, str]

    def save(self, folder: str | Path) -> None:
        """Write `comparison.csv` and the page `comparison.html`.

        Raises:
            OutputError: They cannot be written.
        """
        from vestige.report.comparison_page import write_comparison

        write_comparison(self.table, self.sentences, self.failures, Path(folder))

    def _repr_html_(self) -> str:
        from vestige.report.comparison_page import comparison_page

        return comparison_page(self.table, self.sentences, self.failures)

    def __str__(self) -> str:
        """The sentences, a line each."""
        return "\n".join([*self.sentences, *(f"{name}: {why}" for name, why in self.failures.items())])


def compare_defences(
    records: Any,
    training: ShadowTraining,
    defences: Mapping[str, Recipe | AnswerDefence],
    *,
    pool: Any = None,
    attacks: Sequence[str | Attack] = ATTACKS,
    run: str | Path | None = None,
    options: Options | None = None,
    progress: Progress | None = None,
) -> DefenceComparison:
    """Compare defences: train models under each on the same halves of the records, and attack each model in turn.

    Every number is a mean over models, with an interval over pairs of them. Model k of every defence is trained on the
    same records, so that differences are paired. Nothing is inserted into the data.

    Args:
        records: All records, as of `audit_recipe`; random halves of them are exchangeable.
        training: How models are trained without a defence, and how many per defence. If its recipe counts epochs, it
            keeps copies at some: early stopping is compared with each defence at like test accuracy.
        defences: By name: a recipe, which trains models under the defence, or a defence of answers, which stands before
            the models without one.
        pool: The third pool: the defender's own records, for defences that are fitted; none of them among `records`.
        attacks: Names of attacks, or attacks, on losses or reference models; the gap attack is always played.
        run: Folder for what models answer, the table and the page; nothing is kept if omitted.
        options: Its seed is that of training sets and models.
        progress: As of `audit`.

    Returns:
        The table, and a sentence per defence.

    Raises:
        InputError: Fewer than 6 models; a name that is no folder's; no defence; a fitted one without a third pool.
        TrainingError: No undefended model could be trained; defences whose models fail are among the `failures`.
        RunFolderError: `run` holds other models.
        OutputError: Something cannot be written.

    Source:
        Ours, after Aerni et al. 2024 (adaptive attacks, records at risk) and Song & Mittal 2021, figure 2.
    """
    whole, third = as_records(records, "records"), None if pool is None else as_records(pool, "pool")
    _refuse(defences, training, whole, third)
    played = [one if isinstance(one, Attack) else named(one) for one in attacks]
    with (
        progress_bar() if progress is None else nullcontext(progress) as shown,
        nullcontext(Path(run)) if run is not None else tempfile.TemporaryDirectory(prefix="vestige-") as place,
    ):
        seed = (options or Options()).seed
        common = _Common(records=whole, pool=third, training=training, folder=Path(place), seed=seed, say=shown)
        families, failures = common.families(defences)
        found = compared(families, played, shown)
    sentences = tuple(_sentence(name, found) for name in families if not name.startswith(EARLY))
    comparison = DefenceComparison(table=_table(found), sentences=sentences, failures=failures)
    if run is not None:
        comparison.save(run)
    return comparison


def lines_of_cost(
    records: Records, training: ShadowTraining, defences: Mapping[str, Recipe | AnswerDefence], seed: int
) -> list[str]:
    """Return what the models of a comparison will cost, a line each; errors as `audit_recipe`."""
    undefended = refuse_recipe_without_model(training)
    recipes = {UNDEFENDED: undefended} | {n: one for n, one in defences.items() if isinstance(one, Recipe)}
    lines, seconds = [], 0.0
    for name, recipe in recipes.items():
        checkpoints = _checkpoints(recipe) if name == UNDEFENDED else ()
        cost = cost_of_recipe(records, replace(training, recipe=recipe, checkpoints=checkpoints), seed)
        seconds += cost.seconds
        lines += [f"{name}: {line}" for line in cost.lines()]
    lines += [
        f"{name}: no models of its own, it stands before those of none" for name in defences if name not in recipes
    ]
    return [*lines, f"All models: {duration(seconds)}; attacking each in turn is not counted."]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Common:
    """What all families share."""

    records: Records
    pool: Records | None
    training: ShadowTraining
    folder: Path
    seed: int
    say: Progress

    def families(self, defences: Mapping[str, Recipe | AnswerDefence]) -> tuple[dict[str, Family], dict[str, str]]:
        """Models under no defence, under each, and stopped early beside each; and why some could not be trained."""
        recipe = refuse_recipe_without_model(self.training)
        undefended = self.shadows_of(UNDEFENDED, recipe, _checkpoints(recipe))
        families, failures = {UNDEFENDED: family_of(UNDEFENDED, undefended)}, {}
        for name, defence in defences.items():
            try:
                families[name] = self.family_of(name, defence, undefended)
            except TrainingError as error:
                failures[name] = f"no model could be trained: {error}"
        return families | _early(undefended, families, self.say), failures

    def shadows_of(self, name: str, recipe: Recipe, checkpoints: Sequence[int] = ()) -> Shadows:
        training = replace(self.training, recipe=recipe, checkpoints=checkpoints, epoch=None)

        def said(step: str, done: int, total: int) -> None:
            self.say(f"{name}: {step}", done, total)

        return trained(recipe, self.records, training, self.folder / name, self.seed, said, None)

    def family_of(self, name: str, defence: Recipe | AnswerDefence, undefended: Shadows) -> Family:
        if isinstance(defence, Recipe):
            return family_of(name, self.shadows_of(name, defence))
        return family_of(name, undefended, defence, bank=Bank(self.training.bank), pool=self.pool)


def _checkpoints(recipe: Recipe) -> tuple[int, ...]:
    """Epochs from 1 to the last but one; none where a recipe counts none, or a rule of stopping may end before one."""
    epochs = getattr(recipe, "epochs", None)
    if epochs is None or epochs < 2 or getattr(recipe, "stop", None) is not None:
        return ()
    return tuple(np.unique(np.linspace(1, epochs - 1, min(_CHECKPOINTS, epochs - 1)).round().astype(int)).tolist())


def _early(undefended: Shadows, families: Mapping[str, Family], progress: Progress) -> dict[str, Family]:
    """The undefended models at the epoch where their test accuracy is the most like that of each defence."""
    checkpoints = undefended.plan.checkpoints
    if not checkpoints:
        return {}
    accuracies = {}
    for done, epoch in enumerate(checkpoints):
        progress("early stopping: reading checkpoints", done, len(checkpoints))
        accuracies[epoch] = (test_accuracy(_at(undefended, epoch)),)
    last: int = undefended.plan.recipe.epochs  # type: ignore[attr-defined]  # the recipe counts epochs
    accuracies[last] = (float(families[UNDEFENDED].test_accuracy.mean()),)
    at, found = {last: families[UNDEFENDED]}, {}
    for name in (n for n in families if n != UNDEFENDED):
        epoch = matched_epoch(accuracies, (float(families[name].test_accuracy.mean()),))
        if epoch not in at:
            at[epoch] = family_of(f"{EARLY}, epoch {epoch}", _at(undefended, epoch))
        found[_beside(name)] = at[epoch]
    return found


def _at(shadows: Shadows, epoch: int) -> Shadows:
    """The same models as they were after an epoch."""
    return replace(shadows, plan=replace(shadows.plan, epoch=epoch))


def _beside(name: str) -> str:
    """Key of the early-stopped models that are compared with a defence."""
    return f"{EARLY} beside {name}"


# ------------------------------------------------------------------------------------------------------ the numbers

Rates = Mapping[str, Mapping[str, Mapping[int, float]]]
"""Attack -> metric -> number of the pair -> rate."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Compared:
    """What was measured of one family.

    Attributes:
        family: The family.
        by_adversary: Of each adversary, what attacks find, pair by pair.
    """

    family: Family
    by_adversary: Mapping[str, Rates]


def compared(families: Mapping[str, Family], attacks: Sequence[Attack], progress: Progress) -> dict[str, Compared]:
    """Attack every family: by models of its own, and by undefended ones.

    Args:
        families: By name, the undefended one under `none`.
        attacks: What is played.
        progress: Told after every family.
    """
    found: dict[str, Compared] = {}
    of_undefended: dict[int, dict[str, Any]] = {}
    for done, (name, family) in enumerate(families.items()):
        progress("attacking each model in turn", done, len(families))
        same = next((one for one in found.values() if one.family is family), None)
        if same is not None:
            found[name] = same
            continue
        learnt = of_undefended if name == UNDEFENDED else None
        adaptive = rates_in_turn(family, family, attacks, learnt)
        by_adversary = {"adaptive": {k: v for k, v in adaptive.items() if k in _with_models(attacks)}}
        by_adversary["any"] = {k: v for k, v in adaptive.items() if k not in _with_models(attacks)}
        worst = rates_of_the_worst(family)
        if worst[0]:
            of_worst = dict(zip((f"{_RATE}, worst 1 %", f"{_RATE}, all, same models"), worst, strict=True))
            by_adversary["adaptive"].setdefault("empirical_bayes_online", {}).update(of_worst)
        if name != UNDEFENDED and not name.startswith(EARLY):
            unaware = rates_in_turn(family, families[UNDEFENDED], attacks, of_undefended)
            by_adversary["unaware"] = {k: v for k, v in unaware.items() if k in _with_models(attacks)}
        draws = dict(zip(family.numbers.tolist(), family.draws.tolist(), strict=True))
        in_pairs = {
            adversary: {a: {m: of_pairs(v, draws) for m, v in metrics.items()} for a, metrics in of_attacks.items()}
            for adversary, of_attacks in by_adversary.items()
        }
        found[name] = Compared(family=family, by_adversary=in_pairs)
    return found


def _with_models(attacks: Sequence[Attack]) -> set[str]:
    return {attack.name for attack in attacks if attack.needs_references}


def _table(found: Mapping[str, Compared]) -> pd.DataFrame:
    rows, seen = [], set()
    for name, one in found.items():
        label = one.family.name if name.startswith(EARLY) else name
        if label in seen:
            continue
        seen.add(label)
        for adversary, of_attacks in one.by_adversary.items():
            for attack, metrics in of_attacks.items():
                for metric, values in metrics.items():
                    before = _undefended(found, adversary, attack, metric)
                    rows.append(_row(label, adversary, attack, metric, values, before, one.family))
    return pd.DataFrame([vars(row) for row in rows], columns=[entry.name for entry in fields(DefenceRow)])


def _undefended(found: Mapping[str, Compared], adversary: str, attack: str, metric: str) -> Mapping[int, float]:
    of_adversary = found[UNDEFENDED].by_adversary["any" if adversary == "any" else "adaptive"]
    return of_adversary.get(attack, {}).get(metric, {})


def _row(
    name: str,
    adversary: str,
    attack: str,
    metric: str,
    values: Mapping[int, float],
    before: Mapping[int, float],
    family: Family,
) -> DefenceRow:
    own, change = interval(list(values.values())), _difference(values, before)
    return DefenceRow(
        defence=name,
        adversary=adversary,
        knows_defence=adversary == "adaptive",
        attack=attack,
        metric=metric,
        value=own.value,
        lower=own.lower,
        upper=own.upper,
        difference=change.value,
        difference_lower=change.lower,
        difference_upper=change.upper,
        training_accuracy=round(float(family.training_accuracy.mean()), 5),
        test_accuracy=round(float(family.test_accuracy.mean()), 5),
        n_models=len(family.numbers),
    )


def _difference(values: Mapping[int, float], before: Mapping[int, float]) -> Interval:
    both = sorted(set(values) & set(before))
    if not both:
        return Interval(math.nan, math.nan, math.nan)
    return interval([values[draw] - before[draw] for draw in both])


# ---------------------------------------------------------------------------------------------------- the sentences


def _strongest(one: Compared) -> tuple[str, Mapping[int, float], str]:
    """Attack, rates and metric of the attack of an adversary who adapts that finds the most."""
    every = [found for adversary in ("adaptive", "any") for found in one.by_adversary[adversary].items()]
    metric = _RATE if any(_RATE in metrics for _, metrics in every) else "auc"
    every = [(attack, metrics) for attack, metrics in every if metric in metrics]
    attack, metrics = max(every, key=lambda found: interval(list(found[1][metric].values())).value)
    return attack, metrics[metric], metric


def _sentence(name: str, found: Mapping[str, Compared]) -> str:
    """What the comparison says of one defence."""
    one = found[name]
    attack, rates, metric = _strongest(one)
    mean = interval(list(rates.values()))
    what = (
        f"identifies {mean.value:.1%} [{mean.lower:.1%}, {mean.upper:.1%}] of the members at 1 % false positives"
        if metric == _RATE
        else f"has an AUC of {mean.value:.3f} [{mean.lower:.3f}, {mean.upper:.3f}]"
    )
    said = (
        f"{name}: the strongest adaptive attack ({attack}) {what}; test accuracy {one.family.test_accuracy.mean():.3f}."
    )
    if one.family.n_changed == 0:
        said += " It changed no answer of any model."
    beside = found.get(_beside(name))
    if beside is None or name == UNDEFENDED:
        return said
    _, theirs, their_metric = _strongest(beside)
    if their_metric != metric:  # labels alone resolve no rate: compare the areas of the gap attack
        rates, theirs = (one_of.by_adversary["any"][GAP]["auc"] for one_of in (one, beside))
    gain = _difference(theirs, rates)
    is_decided = gain.lower > 0 or gain.upper < 0
    verdict = "undecided" if not is_decided else "yes" if gain.value > 0 else "no"
    return (
        f"{said} Better than {beside.family.name.replace(UNDEFENDED, 'no defence')} at test accuracy "
        f"{beside.family.test_accuracy.mean():.3f}: {verdict}, by {gain.value:+.3f} "
        f"[{gain.lower:+.3f}, {gain.upper:+.3f}]."
    )


# ----------------------------------------------------------------------------------------------------- bad input


def _refuse(
    defences: Mapping[str, Recipe | AnswerDefence], training: ShadowTraining, records: Records, pool: Records | None
) -> None:
    refuse_recipe_without_model(training)
    n_models = training.n_models
    if n_models < _FEWEST_MODELS:
        raise InputError(f"Expected {_FEWEST_MODELS} models per defence or more, found {n_models}; 16 is usual.")
    if not defences:
        raise InputError("Expected defences to compare, found none; give some by name, such as {'l2': recipe}.")
    for name, defence in defences.items():
        if name in (UNDEFENDED, EARLY) or not name.strip(". ") or any(sign in name for sign in _DANGEROUS):
            raise InputError(
                f"Expected another name of a defence than {name!r}, which is taken or no name of a folder; rename it."
            )
        if isinstance(defence, type) or not isinstance(defence, Recipe | AnswerDefence):
            raise InputError(
                f"Expected a recipe or a defence of answers as {name}, found {type(defence).__name__}; such as "
                "TorchRecipe(..., defences=(L2(3.0),)) or StrongestMemGuard()."
            )
        refuse_audited_reference(defence, records)
        if isinstance(defence, FittedDefence) and not defence.is_fitted and pool is None:
            raise InputError(
                f"Expected a third pool for {name}, which is fitted to answers about the defender's own records, found "
                "none; give records that are not audited as pool."
            )
    shared = np.zeros(0, dtype=bool) if pool is None else audited_among(pool, records)
    if shared.any():
        raise InputError(
            f"Expected a third pool without audited records, found {int(shared.sum())} of them, the first in row "
            f"{int(shared.argmax()) + 1:,}; set other records aside."
        )
