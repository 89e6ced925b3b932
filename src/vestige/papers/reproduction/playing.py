"""What trials have in common: a model's answers as predictions, and the numbers that an audit measured."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vestige.auditing.finished import FinishedAudit
from vestige.core.answer_defence import AnswerDefence
from vestige.core.outputs import Logits
from vestige.core.predictions import Predictions
from vestige.core.recipe import Model
from vestige.core.records import Records, joined
from vestige.papers.reproduction.row import Scale
from vestige.targets.opening import open_target
from vestige.training.torch_recipe import TorchRecipe

N_SMOKE = 150
"""Records of each side at the scale `smoke`, at most."""
EPOCHS_OF_SMOKE = 3


def rows_of(records: Records, rows: np.ndarray, scale: Scale) -> Records:
    """Return some records, with their row numbers as ids; at the scale `smoke` the first of them."""
    numbers = np.flatnonzero(rows) if rows.dtype == bool else np.asarray(rows)
    numbers = numbers[:N_SMOKE] if scale is Scale.SMOKE else numbers
    chosen = records.take(numbers)
    return Records(chosen.inputs, chosen.labels, ids=numbers)


def short(recipe: TorchRecipe, scale: Scale) -> TorchRecipe:
    """Return a recipe as it is, or at the scale `smoke` with few epochs."""
    return replace(recipe, epochs=min(recipe.epochs, EPOCHS_OF_SMOKE)) if scale is Scale.SMOKE else recipe


def answers_of(model: Model, records: Records) -> Logits:
    """Return what a model answers about records."""
    return Logits(open_target(model.classifier, model.n_classes).answers(records.inputs).whole())


def predictions_of(model: Model, members: Records, nonmembers: Records) -> Predictions:
    """Return a model's answers about both sides."""
    both = joined(members, nonmembers)
    member = np.arange(both.n_records) < members.n_records
    return Predictions(answers_of(model, both), both.labels, member, ids=both.ids)


def behind(defence: AnswerDefence, given: Predictions) -> Predictions:
    """Return predictions as a defence of answers changes them."""
    return Predictions(defence(given.outputs[0]), given.labels, given.member, ids=given.ids)


def accuracy_of(model: Model, records: Records) -> float:
    """Return the share of records that a model is right about."""
    return float((answers_of(model, records).whole().argmax(axis=1) == records.labels).mean())


def rate_of(audited: FinishedAudit, attack: str, threshold: str, metric: str = "balanced_accuracy") -> float:
    """Return one number of an audit, of all records."""
    table = audited.results
    found = table[
        (table["attack"] == attack)
        & (table["threshold"] == threshold)
        & (table["metric"] == metric)
        & (table["group"] == "all")
    ]
    return float(found["value"].iloc[0])


def rates_of(audited: FinishedAudit, attacks: Sequence[str], threshold: str) -> dict[str, float]:
    """Return the balanced accuracy of attacks at a threshold."""
    return {attack: rate_of(audited, attack, threshold) for attack in attacks}
