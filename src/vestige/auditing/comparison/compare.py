"""`compare_defences`: what each defence takes from an attacker who adapts to it, and what it costs."""

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool

from vestige.attacks import named
from vestige.auditing.comparison.cost import checkpoints_of
from vestige.auditing.comparison.family import EARLY, UNDEFENDED, Family, beside, family_of, test_accuracy
from vestige.auditing.comparison.known_half import KnownHalf
from vestige.auditing.comparison.marked import CANARIES, Marked, Mislabelled, outliers_of
from vestige.auditing.comparison.measured import Compared, compared
from vestige.auditing.comparison.rates import ATTACKS
from vestige.auditing.comparison.sentences import WITHOUT_DP, sentence_of
from vestige.auditing.comparison.table import table_of
from vestige.auditing.recipe_audit import refuse_recipe_without_model
from vestige.auditing.shadows.settings import ShadowTraining
from vestige.auditing.shadows.sources import audited_among, refuse_audited_reference
from vestige.auditing.shadows.training import Shadows
from vestige.auditing.trained_models import trained
from vestige.core.answer_defence import AnswerDefence, FittedDefence
from vestige.core.attack import Attack
from vestige.core.errors import InputError, TrainingError
from vestige.core.options import Options
from vestige.core.progress import Progress
from vestige.core.recipe import Recipe
from vestige.core.records import Records, as_records
from vestige.report.progress import progress_bar
from vestige.training.bank import Bank

_FEWEST_MODELS = 6  # a target and its partner, and two models on each side
_DANGEROUS = ("/", "\\", "\0")


@dataclass(frozen=True, kw_only=True, eq=False)
class DefenceComparison:
    """The comparison of several defences on the same records.

    Attributes:
        table: A row per number, with the columns of `DefenceRow`.
        sentences: What it says of each defence, in a sentence each.
        failures: Defences without numbers, and why.
        notes: What else a reader should know, a sentence each.
    """

    table: pd.DataFrame
    sentences: tuple[str, ...]
    failures: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def save(self, folder: str | Path) -> None:
        """Write `comparison.csv` and the page `comparison.html`.

        Raises:
            OutputError: They cannot be written.
        """
        from vestige.report.comparison_page import write_comparison

        write_comparison(self.table, self.sentences, self.failures, Path(folder), self.notes)

    def _repr_html_(self) -> str:
        from vestige.report.comparison_page import comparison_page

        return comparison_page(self.table, self.sentences, self.failures, self.notes)

    def __str__(self) -> str:
        """The sentences, a line each."""
        return "\n".join([*self.sentences, *(f"{name}: {why}" for name, why in self.failures.items()), *self.notes])


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
    same records, so that differences are paired. Outliers are looked at where models have a last layer of weights.

    Args:
        records: As of `audit_recipe`, or with canaries, from `comparison.marked.mislabelled`; halves are exchangeable.
        training: How models are trained without a defence, and how many per defence. If its recipe counts epochs, it
            keeps copies at some: each defence is compared with the first of them that is at least as accurate.
        defences: By name: a recipe, which trains models under the defence, or a defence of answers, which stands before
            the models without one.
        pool: The third pool: the defender's own records, for defences that are fitted; none of them among `records`.
        attacks: Names of attacks, or attacks, on losses or reference models, or that learn from known members, half of
            the target's own; the gap attack is always played.
        run: Folder for what models answer, the table and the page; nothing is kept if omitted.
        options: Its seed is that of training sets and models.
        progress: As of `audit`.

    Returns:
        The table, and a sentence per defence.

    Raises:
        InputError: Fewer than 6 models; a name that is no folder's; no defence; a fitted one without a third pool.
        TrainingError: No undefended model could be trained; defences whose models fail are among the `failures`.
        RunFolderError, OutputError: `run` holds other models, or something cannot be written.

    Source:
        Ours, after Aerni et al. 2024 (adaptive attacks, records at risk) and Song & Mittal 2021, figure 2.
    """
    given, canaries = (records.records, records.is_canary) if isinstance(records, Mislabelled) else (records, None)
    whole, third = as_records(given, "records"), None if pool is None else as_records(pool, "pool")
    _refuse(defences, training, whole, third)
    played = [one if isinstance(one, Attack) else named(one) for one in attacks]
    half = KnownHalf(played, (options or Options()).seed)
    with (
        progress_bar() if progress is None else nullcontext(progress) as shown,
        nullcontext(Path(run)) if run is not None else tempfile.TemporaryDirectory(prefix="vestige-") as place,
    ):
        common = _Common(
            records=whole, pool=third, training=training, folder=Path(place), seed=half.seed, say=shown,
            canaries=canaries, knows_half=half,
        )  # fmt: skip
        families, failures, marked, notes = common.families(defences)
        found = compared(families, played, shown, marked)
    notes += [] if canaries is None else [str(records)]
    comparison = _said(found, failures, _epsilons(defences, training, whole), notes)
    if run is not None:
        comparison.save(run)
    return comparison


def _said(
    found: Mapping[str, Compared], failures: Mapping[str, str], epsilons: Mapping[str, float], notes: Sequence[str]
) -> DefenceComparison:
    return DefenceComparison(
        table=table_of(found),
        sentences=tuple(sentence_of(name, found, epsilons) for name in found if not name.startswith(EARLY)),
        failures=failures,
        notes=(*notes, *([] if epsilons else [WITHOUT_DP])),
    )


def _epsilons(
    defences: Mapping[str, Recipe | AnswerDefence], training: ShadowTraining, records: Records
) -> dict[str, float]:
    """What the defences that are DP-SGD promise."""
    n_trained_on = round(records.n_records * float(training.fraction))
    found: dict[str, float] = {}
    for name, recipe in defences.items():
        privacy_of = getattr(recipe, "privacy", None)
        promised = None if privacy_of is None else privacy_of(n_trained_on)
        found |= {} if promised is None else {name: promised.epsilon}
    return found


@dataclass(frozen=True, kw_only=True, eq=False)
class _Common:
    """What all families share."""

    records: Records
    pool: Records | None
    training: ShadowTraining
    folder: Path
    seed: int
    say: Progress
    canaries: Bool[np.ndarray, " record"] | None
    knows_half: KnownHalf

    @property
    def counted(self) -> Bool[np.ndarray, " record"] | None:
        """Records whose accuracy is the models' use."""
        return None if self.canaries is None else ~self.canaries

    def families(
        self, defences: Mapping[str, Recipe | AnswerDefence]
    ) -> tuple[dict[str, Family], dict[str, str], list[Marked], list[str]]:
        """Models under no defence, each, and stopped early; why some failed; records apart; and what is to be said."""
        recipe = refuse_recipe_without_model(self.training)
        undefended = self.shadows_of(UNDEFENDED, recipe, checkpoints_of(recipe))
        families, failures = {UNDEFENDED: self.observed(UNDEFENDED, undefended)}, {}
        for name, defence in defences.items():
            try:
                families[name] = self.family_of(name, defence, undefended)
            except TrainingError as error:
                failures[name] = f"no model could be trained: {error}"
        outliers = outliers_of(undefended, Bank(self.training.bank))
        known = [outliers] if self.canaries is None else [outliers, Marked(CANARIES, self.canaries)]
        marked = [one for one in known if isinstance(one, Marked)]
        notes = [one for one in known if isinstance(one, str)]
        return families | _early(undefended, families, self), failures, marked, notes

    def shadows_of(self, name: str, recipe: Recipe, checkpoints: Sequence[int] = ()) -> Shadows:
        training = replace(self.training, recipe=recipe, checkpoints=checkpoints, epoch=None)

        def said(step: str, done: int, total: int) -> None:
            self.say(f"{name}: {step}", done, total)

        return trained(recipe, self.records, training, self.folder / name, self.seed, said, None)

    def family_of(self, name: str, defence: Recipe | AnswerDefence, undefended: Shadows) -> Family:
        if isinstance(defence, Recipe):
            return self.observed(name, self.shadows_of(name, defence))
        return self.observed(name, undefended, defence)

    def observed(self, name: str, shadows: Shadows, defence: AnswerDefence | None = None) -> Family:
        bank, half = Bank(self.training.bank), self.knows_half
        return family_of(name, shadows, defence, bank=bank, pool=self.pool, counted=self.counted, knows_half=half)


def _early(undefended: Shadows, families: Mapping[str, Family], common: _Common) -> dict[str, Family]:
    """The undefended models at the first epoch that is at least as accurate as each defence.

    Test accuracy rises, and falls again while records are learnt by heart: of two epochs as accurate, the earlier one
    gives away less. Where none is as accurate, the most accurate one stands beside the defence.
    """
    checkpoints = undefended.plan.checkpoints
    if not checkpoints:
        return {}
    accuracies = {}
    for done, epoch in enumerate(checkpoints):
        common.say("early stopping: reading checkpoints", done, len(checkpoints))
        accuracies[epoch] = test_accuracy(_at(undefended, epoch), common.counted)
    last: int = undefended.plan.recipe.epochs  # type: ignore[attr-defined]  # the recipe counts epochs
    accuracies[last] = float(families[UNDEFENDED].test_accuracy.mean())
    at, found = {last: families[UNDEFENDED]}, {}
    for name in (n for n in families if n != UNDEFENDED):
        own = float(families[name].test_accuracy.mean())
        most = max(accuracies, key=accuracies.__getitem__)
        epoch = next((epoch for epoch in sorted(accuracies) if accuracies[epoch] >= own), most)
        if epoch not in at:
            at[epoch] = common.observed(f"{EARLY}, epoch {epoch}", _at(undefended, epoch))
        found[beside(name)] = at[epoch]
    return found


def _at(shadows: Shadows, epoch: int) -> Shadows:
    """The same models as they were after an epoch."""
    return replace(shadows, plan=replace(shadows.plan, epoch=epoch))


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
