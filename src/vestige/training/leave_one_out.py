"""Trains a model again without one record: seed, order of the data and everything else stay."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from vestige.core.digests import digest_of_columns
from vestige.core.errors import UnsupportedModelError
from vestige.core.recipe import Model, Recipe
from vestige.core.records import Records
from vestige.training.model_key import ModelKey
from vestige.training.strategies import Strategy, threads

if TYPE_CHECKING:
    from vestige.training.torch_recipe import TorchRecipe

NOTHING = -1
"""In the place of a record that is left out: the model is trained on all."""


def train_without(
    recipe: Recipe, records: Records, left_out: Sequence[int], seed: int, strategy: Strategy
) -> Iterator[Model | Exception]:
    """Train a model without each of some records, all with one seed; yield each, or its error, in their order.

    Batches of a torch recipe are drawn for all records, and the record is taken out of the batch that it is in: every
    other record stays in its batch, whose mean is over one record fewer. In a stack it stays there without weight, so
    that dropout and augmentation are the same too; where models cannot be stacked, what is drawn for a batch may be
    something else once the record is gone. Any other recipe is fitted to the other records with the same seed.

    Args:
        recipe: How.
        records: What to train on.
        left_out: Row of the record that each model is trained without; `NOTHING` for a model trained on all.
        seed: Of all of them.
        strategy: Threads, and whether in one stack.

    Raises:
        UnsupportedModelError: A defence of the recipe reads the records beside its batches.
    """
    is_torch = hasattr(recipe, "network")
    with threads(strategy.threads):
        models: Sequence[Model | Exception] = ()
        if is_torch:
            _refuse_other_readers(recipe)
        if is_torch and strategy.stack > 1:
            from vestige.training.stacked import train_stack

            member = np.ones((len(left_out), records.n_records), dtype=bool)
            seeds = [seed] * len(left_out)
            with suppress(Exception):  # one model may be the cause: then each alone
                models = train_stack(recipe, records, member, seeds=seeds, left_out=left_out)  # type: ignore[arg-type]
        if models:
            yield from models
            return
        for row in left_out:
            try:
                yield _one(recipe, records, row, seed)
            except Exception as error:  # a user's recipe may raise anything
                yield error


def key_without(recipe: Recipe, records: Records, row: int, seed: int) -> ModelKey:
    """Return the key of what a model that was trained without a record answers; not one of the model itself."""
    member = np.arange(records.n_records) != row
    return ModelKey(
        data=records.digest,
        membership=digest_of_columns({"member": member}),
        recipe={"answers_after_leaving_out_in_place": recipe.identity()},
        seed=seed,
    )


def _one(recipe: Recipe, records: Records, row: int, seed: int) -> Model:
    if row == NOTHING:
        return recipe.fit(records, seed=seed)
    if hasattr(recipe, "network"):
        return _without_record(recipe, row).fit(records, seed=seed)  # type: ignore[arg-type]
    return recipe.fit(records.take(np.arange(records.n_records) != row), seed=seed)


def _refuse_other_readers(recipe: Any) -> None:
    from vestige.training.defences import Defence

    for defence in recipe.defences:
        if type(defence).turns is not Defence.turns:
            raise UnsupportedModelError(
                f"Expected a recipe that reads records in its batches alone, found {type(defence).__name__}, which "
                "reads them beside: without a record more than this record would change. Retrain without this defence."
            )


def _without_record(recipe: "TorchRecipe", row: int) -> "TorchRecipe":
    """The recipe with batches that lack a record."""
    from vestige.training.torch_recipe import TorchRecipe

    class Without(TorchRecipe):
        def batches(self, n_inputs: int, n_used: int, order: Any) -> Any:
            n_records = n_inputs // self.n_copies
            return [rows[rows % n_records != row] for rows in super().batches(n_inputs, n_used, order)]

    return Without(**{field.name: getattr(recipe, field.name) for field in fields(TorchRecipe)})
