"""Rules that end training before the last epoch."""

import math
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from vestige.core.errors import InputError


@dataclass(frozen=True)
class Epoch:
    """The numbers of an epoch that a rule reads.

    Attributes:
        loss: Mean training loss over the epoch, as training saw it [nats].
        validation_accuracy: Share of the validation records classified rightly; NaN without any.
    """

    loss: float
    validation_accuracy: float


@runtime_checkable
class StopRule(Protocol):
    """Decides when training ends, and which epoch's weights are kept."""

    @property
    def needs_validation(self) -> bool:
        """Whether the rule reads the validation accuracy."""

    def stops(self, epochs: list[Epoch]) -> bool:
        """Whether training ends after these epochs."""

    def best(self, epochs: list[Epoch]) -> int:
        """The number of the epoch, from 1, whose weights are kept if training ends here."""


@dataclass(frozen=True)
class LossPlateau:
    """Stop when the training loss has not improved for a while; the last weights are kept.

    Attributes:
        improvement: What counts as an improvement over the best loss before [nats].
        patience: Epochs without one after which training ends.

    Source:
        Choquette-Choo et al. 2021, appendix: less than 0.005 over 20 epochs (the defaults).
    """

    improvement: float = 0.005
    patience: int = 20

    needs_validation: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _check_patience(self.patience)

    def stops(self, epochs: list[Epoch]) -> bool:
        """Whether none of the last `patience` epochs improved on the best before it."""
        best, last = math.inf, 0
        for number, epoch in enumerate(epochs, start=1):
            if epoch.loss < best - self.improvement:
                best, last = epoch.loss, number
        return len(epochs) - last >= self.patience

    def best(self, epochs: list[Epoch]) -> int:
        """The last one."""
        return len(epochs)


@dataclass(frozen=True)
class ValidationPeak:
    """Stop when the validation accuracy has passed its peak; the weights at the peak are kept.

    Attributes:
        patience: Epochs without a higher accuracy after which training ends.

    Source:
        Watson et al. 2022, section 4.1: references stop where the validation accuracy peaks.
    """

    patience: int = 10

    needs_validation: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_patience(self.patience)

    def stops(self, epochs: list[Epoch]) -> bool:
        """Whether the peak lies `patience` epochs back."""
        return len(epochs) - self.best(epochs) >= self.patience

    def best(self, epochs: list[Epoch]) -> int:
        """The first epoch with the highest validation accuracy."""
        accuracies = [epoch.validation_accuracy for epoch in epochs]
        return accuracies.index(max(accuracies)) + 1


def _check_patience(patience: int) -> None:
    if patience < 1:
        raise InputError(f"Expected a patience of at least 1 epoch, found {patience}.")
