"""Imitators: networks that are trained to answer as one other model does, on records that bring its answers."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from vestige.core.errors import InputError
from vestige.core.schema import Schema

if TYPE_CHECKING:
    from torch import Tensor

_FLOOR = 1e-9  # of a probability whose logarithm is taken: an exact zero tells no more than that it is small
_PRIOR = 0.1  # copies: added to the count of every class


@dataclass(frozen=True)
class Imitation(Schema):
    """How imitators are trained: first on labels alone, then also on what the imitated model answered.

    Attributes:
        n_pairs: Pairs of imitators of each imitated model, trained on complementary halves of the records.
        alpha: Weight of the squared distance to the imitated model's logits, in [0, 1]; the recipe's own loss has the
            rest.
        warm_up: Share of the epochs, in [0, 1), that are trained on the recipe's own loss alone.

    Raises:
        InputError: A number is out of range.

    Example:
        >>> import torch
        >>> imitation = Imitation(alpha=0.5)
        >>> outputs, answers = torch.tensor([[3.0, 1.0]]), torch.tensor([[5.0, 5.0]])
        >>> imitation.mixed(torch.tensor([0.4]), outputs, answers)  # half of 1 and half of 0.4
        tensor([0.7000])

    Source:
        Du et al. 2026 (IMIA). Deviations: no weights of classes by margin; the weights after the last epoch.
    """

    n_pairs: int = 4
    alpha: float = 0.5
    warm_up: float = 0.8

    def __post_init__(self) -> None:
        if self.n_pairs < 1:
            raise InputError(f"Expected 1 pair of imitators or more, found {self.n_pairs}; 4 is the default.")
        if not (0 <= self.alpha <= 1 and 0 <= self.warm_up < 1):
            raise InputError(
                "Expected alpha in [0, 1] and a warm-up in [0, 1) of an imitation, found "
                f"{self.alpha:g} and {self.warm_up:g}; give shares, such as 0.5 and 0.8."
            )

    def identity(self) -> dict[str, float]:
        """Return what decides one imitator."""
        return {"alpha": self.alpha, "warm_up": self.warm_up}

    def begins_after(self, epochs: int) -> int:
        """Return how many of so many epochs are trained on the recipe's own loss alone."""
        return round(self.warm_up * epochs)

    def mixed(self, losses: "Tensor", outputs: "Tensor", answers: "Tensor") -> "Tensor":
        """Return the loss of each record of a batch.

        Args:
            losses: The recipe's own [nats].
            outputs: Logits of the imitator, record x class.
            answers: Logits of the imitated model.
        """
        distance = (_centred(outputs) - _centred(answers)).square().mean(dim=1)
        return self.alpha * distance + (1 - self.alpha) * losses


@dataclass(frozen=True)
class Distillation:
    """How a model is trained on soft labels alone: on probabilities as answers, from the first epoch on.

    Example:
        >>> import torch
        >>> Distillation().mixed(torch.zeros(1), torch.zeros(1, 2), torch.tensor([[0.25, 0.75]]))  # log 2
        tensor([0.6931])
    """

    def identity(self) -> dict[str, str]:
        """Return what decides the model."""
        return {"loss": "cross-entropy of soft labels"}

    def begins_after(self, epochs: int) -> int:
        """Return 0: there is no epoch on labels."""
        return 0

    def mixed(self, losses: "Tensor", outputs: "Tensor", answers: "Tensor") -> "Tensor":
        """Return the cross-entropy of each record of a batch [nats]; arguments as of `Imitation.mixed`."""
        return -(answers * outputs.log_softmax(dim=1)).sum(dim=1)


def logits_of(probabilities: Any) -> Float[np.ndarray, "record class"]:
    """Return logits that stand for probabilities: their logarithms, of 1e-9 at least, less the mean over classes.

    Example:
        >>> logits_of(np.array([[0.5, 0.5], [1.0, 0.0]])).round(2).tolist()
        [[0.0, 0.0], [10.36, -10.36]]
    """
    logs = np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), _FLOOR))
    return np.asarray(logs - logs.mean(axis=1, keepdims=True))


def logits_of_counts(counts: Int[np.ndarray, "record class"]) -> Float[np.ndarray, "record class"]:
    """Return logits that stand for how often a model gave each class to copies of a record.

    A tenth of a copy is added to every class, so that a class that was never given is unlikely, and not impossible.

    Example:
        >>> logits_of_counts(np.array([[10, 0]])).round(2).tolist()
        [[2.31, -2.31]]
    """
    shares = (counts + _PRIOR) / (counts + _PRIOR).sum(axis=1, keepdims=True)
    return logits_of(shares)


def _centred(logits: "Tensor") -> "Tensor":
    return logits - logits.mean(dim=1, keepdim=True)
