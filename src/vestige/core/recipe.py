"""How models are made: the protocol every recipe follows, and what it returns.

A recipe says how a model is trained, not on what: the same recipe trains the target's like on any records. What it
returns is a value; a target is made of it elsewhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Protocol, runtime_checkable

from vestige.core.records import Records


@dataclass(frozen=True, eq=False)
class Model:
    """A trained classifier and how its training went.

    Attributes:
        classifier: What answers: a torch module in evaluation mode, a scikit-learn estimator, or a function from
            inputs to probabilities. It is given inputs as they are in the records.
        n_classes: Number of classes of the records it was trained on.
        seed: Seed of its training.
        epoch: Epochs it was trained for; 0 where the recipe does not count any.
        checkpoints: The same model at the earlier epochs that were asked for, in rising order.
        history: Numbers per epoch, such as `loss`, the mean training loss [nats].
    """

    classifier: Any
    n_classes: int
    _: KW_ONLY
    seed: int
    epoch: int = 0
    checkpoints: tuple["Model", ...] = ()
    history: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


@runtime_checkable
class Recipe(Protocol):
    """How a model is trained."""

    def fit(
        self,
        records: Records,
        *,
        seed: int,
        start: Model | None = None,
        validation: Records | None = None,
        checkpoints: Sequence[int] = (),
        device: str | None = None,
    ) -> Model:
        """Train one model.

        Args:
            records: What to train on.
            seed: Same records and seed, same model, bit for bit on the same machine.
            start: Continue from this model's weights instead of new ones (forgetting).
            validation: Records for a stopping rule that needs some.
            checkpoints: Epochs after which a copy is kept in the returned model.
            device: Such as `cpu` or `cuda:0`; the recipe's own choice if omitted.

        Raises:
            TrainingError: It raised, or its weights or answers are not what they should be.
            InputError: The recipe cannot use these records, or does not offer an option that was given.
        """

    def identity(self) -> Mapping[str, Any]:
        """Return what decides the trained model, as text and numbers: two recipes with one identity are the same.

        It has `reusable`: False if another process could not know that its recipe is the same, such as of a lambda.
        """

    def dump(self, model: Model) -> Mapping[str, bytes]:
        """Return the files, by name, that hold a model; none of them is a pickle.

        Raises:
            UnsupportedModelError: There is no safe format for this kind of model.
        """

    def load(self, files: Mapping[str, bytes]) -> Model:
        """Return the model that `dump` gave these files for.

        Raises:
            ArtefactError: They hold something else.
        """
