"""Imitators of the target, and of the shadow models that play it: trained on their answers, and asked."""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from jaxtyping import Bool, Int

from vestige.auditing.label_only.question import LabelImitators, ShadowLabels
from vestige.auditing.references.phi import Imitated
from vestige.auditing.run_folder import FAILURES, alone
from vestige.auditing.shadows.answers import labels_of_shadows, models_read
from vestige.auditing.shadows.plan import ShadowPlan, planned
from vestige.auditing.shadows.settings import N_PLAYERS, ShadowTraining
from vestige.auditing.shadows.training import Shadows, train_shadows
from vestige.core.errors import TrainingError
from vestige.core.outputs import Logits, Probabilities
from vestige.core.progress import Progress
from vestige.core.result import Check, Validity
from vestige.core.seeds import stream
from vestige.data.sets.designs import complementary_pairs
from vestige.signals.phi import phi_of
from vestige.training.bank import Bank
from vestige.training.imitation import Imitation, logits_of, logits_of_counts
from vestige.training.strategies import Strategy, groups_of
from vestige.training.torch_recipe import TorchRecipe

FOLDER = "imitators"
"""Of a run: a folder for each imitated model, with its plan and what its imitators answered."""


def imitated(
    shadows: Shadows,
    answers: Logits | Probabilities,
    training: ShadowTraining,
    run: Path,
    until: float,
    progress: Progress,
) -> tuple[Imitated | None, list[Check]]:
    """Train imitators of the target and of two shadow models, or take them from the run or the bank.

    The same halves of the records are drawn for all imitated models. The imitated shadow models are of different draws.

    Args:
        shadows: The shadow models.
        answers: What the target answered about the records of the pool.
        training: How models are trained.
        run: The run's folder.
        until: Value of `time.monotonic()` by which to end.
        progress: Told after every model.

    Returns:
        What they answered, None if none could be trained; and what a reader should know of their training.

    Raises:
        RunFolderError: The run holds others.
        ArtefactError: Something stored is damaged or foreign.
        OutputError: Bank or run cannot be written.
    """
    assert training.imitators is not None
    plan, kind, players = shadows.plan, shadows.output, _players(shadows)
    of_players = (kind(shadows.store.read(shadows.kind, rows=[plan.row_read(player)])[0]) for player in players)
    logits = (one.whole() if isinstance(one, Logits) else logits_of(one.whole()) for one in (answers, *of_players))
    labels = np.asarray(plan.records.labels)
    found, n_done = [], 0
    try:
        for copies in _of_each(shadows, logits, training, run, until, progress):
            phi = np.full(copies.done.shape + labels.shape, np.nan)
            for number, row in zip(np.flatnonzero(copies.done), copies.rows_read(), strict=True):
                phi[number] = phi_of(copies.output, copies.store.read(copies.kind, rows=[row])[0], labels)
            found.append(phi)
            n_done += int(copies.done.sum())
    except TrainingError as error:
        return None, [_none(error)]
    member = _halves(plan, training.imitators)
    return Imitated(np.stack(found), member, _places(shadows)), [_told(n_done, len(member), players)]


def label_imitators(
    shadows: Shadows, training: ShadowTraining, run: Path | None, seconds: float, progress: Progress
) -> LabelImitators:
    """Return what trains imitators of the target and of two shadow models on the labels of their noisy copies.

    Args:
        shadows: The shadow models.
        training: As of `imitated`.
        run: The run's folder; None if nothing is kept but the models in the bank.
        seconds: How long training may take.
        progress: Told after every model.
    """
    assert training.imitators is not None
    member, players, bank = _halves(shadows.plan, training.imitators), _players(shadows), Bank(training.bank)

    def train(
        counts: Sequence[np.ndarray],
    ) -> tuple[list[tuple[np.ndarray, ShadowLabels]], tuple[Check, ...]]:
        logits, until = (logits_of_counts(one) for one in counts), time.monotonic() + seconds
        with nullcontext(run) if run is not None else TemporaryDirectory(prefix="vestige-") as folder:
            try:
                every = list(_of_each(shadows, logits, training, Path(folder), until, progress))
            except TrainingError as error:
                return [], (_none(error),)
        n_done = sum(int(copies.done.sum()) for copies in every)
        found = [(np.flatnonzero(copies.done), labels_of_shadows(copies, bank)) for copies in every]
        return found, (_told(n_done, len(member), players),)

    return LabelImitators(is_in=member, models=_places(shadows), train=train)


def _none(error: TrainingError) -> Check:
    message = f"No imitators were played: {error}"
    return Check("imitators", Validity.LIMITED, message, "Give more time, or mend the recipe.")


def _told(n_done: int, n_of_each: int, players: list[int]) -> Check:
    n_wanted = n_of_each * (1 + len(players))
    return Check(
        "imitators",
        Validity.VALID if n_done == n_wanted else Validity.LIMITED,
        f"{n_done} of {n_wanted} imitators of the target and of {len(players)} shadow models, each trained on a random "
        "half of the records: on labels, later also on what the imitated model answered.",
        "" if n_done == n_wanted else f"Give more time, or read {FAILURES} in the run's folder {FOLDER}.",
    )


def _places(shadows: Shadows) -> Int[np.ndarray, " player"]:
    """Which of the models that are done are imitated."""
    return np.searchsorted(np.flatnonzero(shadows.done), _players(shadows))


def _players(shadows: Shadows) -> list[int]:
    """Shadow models that play the target: the first that is done of each draw."""
    drawn_together, done = shadows.plan.drawn_together, np.flatnonzero(shadows.done)
    return [int(done[drawn_together[done] == draw][0]) for draw in np.unique(drawn_together[done])[:N_PLAYERS]]


def _seed(plan: ShadowPlan) -> int:
    """Another than that of the shadow models, which would begin alike and see the same halves."""
    return int(stream(plan.seed, "imitators").integers(2**31))


def _halves(plan: ShadowPlan, imitation: Imitation) -> Bool[np.ndarray, "imitator record"]:
    n = 2 * imitation.n_pairs
    return complementary_pairs(n, plan.records.n_records, seed=_seed(plan), subjects=plan.records.subjects)


def _of_each(
    shadows: Shadows,
    logits: Iterable[np.ndarray],
    training: ShadowTraining,
    run: Path,
    until: float,
    progress: Progress,
) -> Iterator[Shadows]:
    """The target's imitators, then those of each player, from the logits that each is to learn."""
    assert training.imitators is not None
    recipe, plan = _recipe(shadows, Bank(training.bank), training.imitators), shadows.plan
    names = ("target", *(f"shadow-{player}" for player in _players(shadows)))
    for name, one in zip(names, logits, strict=True):
        of_imitators = replace(
            plan,
            recipe=recipe,
            records=plan.records.answered(one),
            member=_halves(plan, training.imitators),
            seed=_seed(plan),
            n_asked=2 * training.imitators.n_pairs,
            checkpoints=(),
            gradient_norms=False,
            share=Fraction(1, 2),
            drawn_alone=False,
        )
        yield _trained(of_imitators, training, run / FOLDER / name, until, progress)


def _recipe(shadows: Shadows, bank: Bank, imitation: Imitation) -> TorchRecipe:
    """The shadow models' recipe for as many epochs as they took: a rule of stopping may end before imitation begins."""
    recipe = shadows.plan.recipe
    assert isinstance(recipe, TorchRecipe)
    if recipe.stop is None:
        return replace(recipe, imitation=imitation)
    epochs = [model.epoch for model in models_read(shadows, bank, "the number of their epochs, which imitators take")]
    return replace(recipe, imitation=imitation, stop=None, epochs=max(1, round(float(np.mean(epochs)))))


def _trained(plan: ShadowPlan, training: ShadowTraining, folder: Path, until: float, progress: Progress) -> Shadows:
    def plan_of(strategy: Strategy, groups: list[list[int]] | None) -> ShadowPlan:
        n_workers = strategy.n_processes if training.executor is None else training.executor.n_workers
        of_stacks = groups or groups_of(plan.recipe, plan.member, strategy, n_workers)
        return replace(plan, strategy=strategy, groups=of_stacks)

    with alone(folder):
        return train_shadows(
            planned(folder, plan_of, lambda: plan.strategy),
            folder,
            Bank(training.bank),
            executor=training.executor,
            until=until,
            stop_at_failure=training.stop_at_failure,
            progress=progress,
            what="imitator",
        )
