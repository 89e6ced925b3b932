"""Rules that end training before the last epoch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from vestige.core.errors import InputError


@dataclass(frozen=True)
class Epoch:
    """The numbers of an epoch that a rule reads.

    Attributes:
        loss: Mean training loss over the epoch, as training saw it [nats].
        validation_accuracy: Share of the validation records classified rightly; NaN without any.
        commonest: Share of the validation records that are of their commonest class; NaN without any.
    """

    loss: float
    validation_accuracy: float
    commonest: float = math.nan


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

    Of equal peaks the last is the peak: the first ones come of weights that have hardly learnt anything. For the same
    reason an epoch that is no better than to name the commonest class of the validation records is never one; if none
    is better, training goes on to its end, and the last weights are kept.

    Attributes:
        patience: Epochs below the peak after which training ends.

    Source:
        Watson et al. 2022, section 4.1: references stop where the validation accuracy peaks. Ours: which of equal
        peaks, and the commonest class.
    """

    patience: int = 10

    needs_validation: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_patience(self.patience)

    def stops(self, epochs: list[Epoch]) -> bool:
        """Whether the peak lies `patience` epochs back."""
        return len(epochs) - self.best(epochs) >= self.patience

    def best(self, epochs: list[Epoch]) -> int:
        """The last epoch with the highest validation accuracy; the last of all if none beats the commonest class."""
        learnt = [epoch.validation_accuracy for epoch in epochs if not epoch.validation_accuracy <= epoch.commonest]
        peak = max(learnt, default=math.nan)
        return max((i for i, epoch in enumerate(epochs, 1) if epoch.validation_accuracy == peak), default=len(epochs))


def matched_epoch(accuracies: Mapping[int, tuple[float, ...]], like: tuple[float, ...]) -> int:
    """Return after which epoch a model is the most like another one, by accuracies alone.

    So early stopping is compared with a defence: the undefended model at the epoch that this gives is attacked as the
    defended one is. No attack has a say in the choice, which would favour early stopping.

    Args:
        accuracies: Of the undefended model at each of its checkpoints, such as `{5: (0.6, 0.5), 10: (0.9, 0.6)}` of
            training and test; of the test alone for a comparison at equal test accuracy.
        like: Those of the defended model, in the same order.

    Returns:
        The epoch with the least sum of absolute differences; the earliest of several.

    Raises:
        InputError: There are none, other numbers of them, or some that are no shares.

    Example:
        >>> matched_epoch({5: (0.6, 0.5), 10: (0.9, 0.6), 15: (1.0, 0.6)}, like=(0.85, 0.62))
        10

    Source:
        Song & Mittal 2021, figure 2: early stopping beside adversarial regularisation, at like accuracies.
    """
    if not accuracies or any(len(found) != len(like) or not like for found in accuracies.values()):
        raise InputError(
            f"Expected accuracies of checkpoints, {len(like)} of each as of the model to match, found "
            f"{sorted({len(found) for found in accuracies.values()})}; give training and test accuracy, or one of both."
        )
    if not all(0 <= share <= 1 for found in (*accuracies.values(), like) for share in found):
        raise InputError("Expected accuracies in [0, 1], found another number; give shares, not percent.")
    far = {epoch: sum(abs(a - b) for a, b in zip(found, like, strict=True)) for epoch, found in accuracies.items()}
    return min(sorted(far), key=far.__getitem__)


def _check_patience(patience: int) -> None:
    if patience < 1:
        raise InputError(f"Expected a patience of at least 1 epoch, found {patience}.")
