"""`Shadow`: the answers of one model like the audited one, on records of its own."""

from dataclasses import dataclass

from vestige.core.errors import InputError
from vestige.core.predictions import Predictions


@dataclass(frozen=True, eq=False)
class Shadow:
    """An adversary with one model, trained like the target on records of its own.

    Thresholds and the privacy risk score are learnt there.

    Attributes:
        predictions: Its answers, with its own members.

    Raises:
        InputError: They are no predictions.
    """

    predictions: Predictions

    def __post_init__(self) -> None:
        if not isinstance(self.predictions, Predictions):
            raise InputError(
                f"Expected Predictions of the shadow model, found {type(self.predictions).__name__}; such as "
                "Shadow(vestige.Predictions(probs, labels, member))."
            )
