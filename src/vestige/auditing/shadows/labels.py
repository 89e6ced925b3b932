"""Shadow models that an audit has trained, looked at again from the bank: by their labels, or by their last layer."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import numpy as np

from vestige.auditing.label_only.question import ShadowLabels
from vestige.auditing.shadows.training import Shadows
from vestige.core.errors import TrainingError, UnsupportedModelError
from vestige.core.recipe import Model
from vestige.core.records import Records
from vestige.core.targets import EmbeddingModel, LabelTarget
from vestige.targets.access import label_target, labels_only
from vestige.targets.ledger import Ledger
from vestige.targets.meter import Meter
from vestige.targets.opening import open_target
from vestige.training.bank import Bank
from vestige.training.model_key import key_of


def models_read(shadows: Shadows, bank: Bank, what: str) -> Iterator[Model]:
    """Yield the models that are done, each as attacks read it, from the bank.

    Args:
        shadows: What was trained.
        bank: Where it is.
        what: What it is needed for, for a message.

    Raises:
        TrainingError: One is not there.
    """
    plan = shadows.plan
    for number in np.flatnonzero(shadows.done).tolist():
        model_key = plan.model_key(number)
        files = bank.get(key_of(model_key), model_key)
        if files is None:
            raise TrainingError(
                f"Expected shadow model {number} in the bank for {what}, found none: models of this "
                "recipe have no safe format. Train scikit-learn estimators or torch modules."
            )
        yield plan.copy_read(plan.recipe.load(files))


@contextmanager
def asked_for_labels(model: Model, records: Records) -> Iterator[LabelTarget]:
    """Open a shadow model as a label-only attack asks it."""
    interface = labels_only(open_target(model.classifier, records.n_classes))
    with closing(Ledger(None, records.n_records)) as ledger:
        yield label_target(Meter(interface, ledger), "shadow models")


def labels_of_shadows(shadows: Shadows, bank: Bank) -> ShadowLabels:
    """Return the models that are done, each by its labels, from the bank."""
    plan = shadows.plan

    def targets() -> Iterator[LabelTarget]:
        for model in models_read(shadows, bank, "label-only attacks"):
            with asked_for_labels(model, plan.records) as target:
                yield target

    return ShadowLabels(shadows.member, plan.drawn_together[shadows.done], targets)


@dataclass(frozen=True, eq=False)
class FirstModel:
    """The first model that an audit has trained, to be asked for its last layer's inputs once the audit is finished.

    Attributes:
        shadows: What was trained.
        bank: Where the model is.
        records: The audited ones.
    """

    shadows: Shadows
    bank: Bank
    records: Records

    @property
    def ids(self) -> np.ndarray:
        """Id of each audited record, its number if it has none."""
        return np.arange(self.records.n_records) if self.records.ids is None else np.asarray(self.records.ids)

    def last_layer_inputs(self) -> np.ndarray:
        """Return each audited record's embedding.

        Raises:
            UnsupportedModelError: It is no torch module, or the last layer of it is no linear one.
            TrainingError: It is not in the bank.
        """
        model = next(models_read(self.shadows, self.bank, "features of the audited records"))
        target = open_target(model.classifier, model.n_classes)
        if not isinstance(target, EmbeddingModel):
            raise UnsupportedModelError(
                f"Expected a shadow model with a last layer for features, found {type(model.classifier).__name__}; "
                "train torch modules, or give features."
            )
        return target.last_layer_inputs(self.records.inputs)
