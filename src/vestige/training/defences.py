"""Defences that act while a torch network trains: frozen values of a `TorchRecipe`, told apart by their classes."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor, nn

from vestige.core.errors import InputError

Penalty = Callable[[Mapping[str, Tensor]], Tensor]
"""From weights by name, each with an axis of models first, to a penalty for every model."""


class Penalised(StrEnum):
    """What an L2 penalty is of: the published text and its code differ.

    Attributes:
        DENSE_SQUARES: The sum of squares of the weights of linear layers, without biases.
        NORM: The norm of all trainable weights, biases among them.
    """

    DENSE_SQUARES = "squares of the dense layers"
    NORM = "norm of all weights"


@dataclass(frozen=True)
class L2:
    """A penalty on large weights, added to the loss of every batch.

    Attributes:
        strength: What the sum of squares, or the norm, is multiplied by.
        of: Which of the two.

    Raises:
        InputError: The strength is negative.

    Example:
        >>> weights = {"weight": torch.tensor([[[3.0, 4.0]]]), "bias": torch.tensor([[9.0]])}  # of one model
        >>> L2(0.5).on(nn.Linear(2, 1))(weights), L2(2.0, Penalised.NORM).on(nn.Linear(2, 1, bias=False))(weights)
        (tensor([12.5000]), tensor([10.]))

    Source:
        Choquette-Choo et al. 2021: the sum of squares without a factor of 1/2 is their code, strength 3.0 that of
        figure 11; the norm is appendix E. With SGD and Adam, not AdamW, the sum of squares is a weight decay of twice
        the strength on those layers.
    """

    strength: float
    of: Penalised = Penalised.DENSE_SQUARES

    def __post_init__(self) -> None:
        if not self.strength >= 0:
            raise InputError(f"Expected an L2 penalty of 0 or more, found {self.strength:g}; give its strength.")

    def on(self, network: nn.Module) -> Penalty:
        """Return the penalty for networks like this one.

        Raises:
            InputError: It has no linear layers, and the penalty is of those.
        """
        dense = {id(m.weight) for m in network.modules() if isinstance(m, nn.Linear)}
        by_norm = self.of == Penalised.NORM
        names = [n for n, w in network.named_parameters() if w.requires_grad and (by_norm or id(w) in dense)]
        if not names:
            raise InputError(
                f"Expected weights for an L2 penalty on the {self.of}, found none in {type(network).__name__}; leave "
                "it out, or penalise the norm of all weights with L2(strength, Penalised.NORM)."
            )

        def penalty(weights: Mapping[str, Tensor]) -> Tensor:
            each = torch.cat([weights[name].reshape(len(weights[name]), -1) for name in names], dim=1)
            size: Tensor = torch.linalg.vector_norm(each, dim=1) if by_norm else each.square().sum(dim=1)
            return self.strength * size

        return penalty


@dataclass(frozen=True)
class Translates:
    """The training set is enlarged to all translates of its images, every epoch: `4 distance + 1` of each.

    Images of bytes are record x height x width (x channel), others have their channels first, as networks take them.

    Attributes:
        distance: How far they are moved, by rows and columns together [pixels]; what comes in repeats the border.

    Raises:
        InputError: The distance is below 1.

    Example:
        >>> Translates(1).of(torch.arange(4).reshape(1, 2, 2)).tolist()[1:3]  # up, and to the left
        [[[2, 3], [2, 3]], [[1, 1], [3, 3]]]

    Source:
        Choquette-Choo et al. 2021, section 6 and figure 3: the set is enumerated, not drawn from.
    """

    distance: int

    def __post_init__(self) -> None:
        if self.distance < 1:
            raise InputError(f"Expected translates of 1 pixel or more, found {self.distance}; leave them out.")

    @property
    def n_copies(self) -> int:
        """How many there are of each image, itself among them."""
        return 4 * self.distance + 1

    def of(self, images: Tensor) -> Tensor:
        """Return all images as they are, then all of them moved one way, and so on.

        Raises:
            InputError: They are no images, or not larger than the distance.
        """
        rows = 2 if images.ndim == 4 and images.dtype != torch.uint8 else 1
        if images.ndim not in (3, 4) or min(images.shape[rows : rows + 2]) <= self.distance:
            raise InputError(
                f"Expected images of more than {self.distance} pixels each way for translates, found inputs of shape "
                f"{tuple(images.shape)}; give record x height x width x channel, or a smaller distance."
            )
        return torch.cat([_moved(_moved(images, down, rows), right, rows + 1) for down, right in self._shifts()])

    def _shifts(self) -> Iterator[tuple[int, int]]:
        yield 0, 0
        for down in range(-self.distance, self.distance + 1):
            for right in sorted({abs(down) - self.distance, self.distance - abs(down)}):
                yield down, right


def _moved(images: Tensor, by: int, axis: int) -> Tensor:
    size = images.shape[axis]
    return images.index_select(axis, (torch.arange(size, device=images.device) - by).clamp(0, size - 1))
