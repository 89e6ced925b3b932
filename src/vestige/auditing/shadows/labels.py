"""Shadow models that an audit has trained, as a label-only adversary asks them: by their labels, from the bank."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np

from vestige.auditing.label_only.question import ShadowLabels
from vestige.auditing.references.phi import places_of
from vestige.auditing.shadows.training import Shadows
from vestige.core.errors import TrainingError
from vestige.core.outputs import PredictedLabels
from vestige.core.predictions import Predictions
from vestige.core.records import Records
from vestige.core.references import References
from vestige.core.targets import LabelTarget
from vestige.targets.access import label_target, labels_only
from vestige.targets.ledger import Ledger
from vestige.targets.meter import Meter
from vestige.targets.opening import open_target
from vestige.training.bank import Bank
from vestige.training.model_key import key_of


def labels_of_shadows(shadows: Shadows, bank: Bank) -> ShadowLabels:
    """Return the models that are done, each by its labels, from the bank."""
    plan, recipe, numbers = shadows.plan, shadows.plan.recipe, np.flatnonzero(shadows.done)

    def targets() -> Iterator[LabelTarget]:
        for number in numbers.tolist():
            model_key = plan.model_key(number)
            files = bank.get(key_of(model_key), model_key)
            if files is None:
                raise TrainingError(
                    f"Expected shadow model {number} in the bank for label-only attacks, found none: models of this "
                    "recipe have no safe format. Train scikit-learn estimators or torch modules."
                )
            yield from _asked_by_labels(recipe.load(files).classifier, plan.records)

    return ShadowLabels(shadows.member, plan.drawn_together[shadows.done], targets)


def labels_of_references(references: References, predictions: Predictions, pool: Records) -> ShadowLabels | None:
    """Return reference models, each by its labels; None if they are not at hand.

    Args:
        references: The models.
        predictions: What the target answered about the records of the pool.
        pool: The audited records.

    Raises:
        InputError: They did not answer about every audited record.
    """
    classifiers = references.classifiers
    if classifiers is None:
        return None

    def targets() -> Iterator[LabelTarget]:
        for classifier in classifiers:
            yield from _asked_by_labels(classifier, pool)

    is_in = references.member[:, places_of(references, predictions)]
    return ShadowLabels(is_in, references.groups, targets, references.training)


def _asked_by_labels(classifier: Any, pool: Records) -> Iterator[LabelTarget]:
    """One model, counted in a ledger of its own."""
    with closing(Ledger(None, pool.n_records)) as ledger:
        yield label_target(Meter(labels_only(open_target(classifier, pool.n_classes)), ledger), "shadow models")


def first_by_labels(shadows: Shadows, target: Predictions) -> Predictions:
    """Return the first model's classes of all records, with its own members: thresholds are set there."""
    answers = next(shadows.store.table(shadows.kind, shadows.final_rows()[:1]).blocks(1))[0]
    return Predictions(
        PredictedLabels(answers.argmax(axis=-1)),
        labels=target.labels,
        member=shadows.member[0],
        ids=target.ids,
        subjects=target.subjects,
        classes=target.classes,
    )
