"""Defences that act while a torch network trains: frozen values of a `TorchRecipe`, each a class of its own."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from vestige.core.errors import InputError

if TYPE_CHECKING:
    from vestige.training.stacked import Stack

Penalty = Callable[[Mapping[str, Tensor]], Tensor]
"""From weights by name, each with an axis of models first, to a penalty for every model."""

Data = tuple[Tensor, Tensor, Tensor | None]
"""Inputs, labels, and answers to imitate."""


class Penalised(StrEnum):
    """What an L2 penalty is of: the published text and its code differ.

    Attributes:
        DENSE_SQUARES: The sum of squares of the weights of linear layers, without biases.
        NORM: The norm of all trainable weights, biases among them.
    """

    DENSE_SQUARES = "squares of the dense layers"
    NORM = "norm of all weights"


class Defence:
    """What changes a training, in one way or several; a class of its own defines those that it needs.

    A value is frozen, and its fields are its whole state: they make the recipe another one.

    Attributes:
        not_in_stacks: Why models of it cannot be trained as one, in words; empty if they can.

    Example:
        >>> @dataclass(frozen=True)
        ... class Halved(Defence):
        ...     def mixed(self, losses, outputs, labels, n_epochs):
        ...         return losses / 2
        >>> from vestige.training.torch_recipe import TorchRecipe
        >>> TorchRecipe(nn.Linear, epochs=1, defences=(Halved(),)).losses(torch.zeros(1, 2), torch.tensor([1]), None, 0)
        tensor([0.3466])
    """

    not_in_stacks: ClassVar[str] = ""

    @property
    def n_copies(self) -> int:
        """How many inputs are made of each record."""
        return 1

    def enlarged(self, inputs: Tensor) -> Tensor:
        """Return the inputs to train on: all of them once, and so on for every copy."""
        return inputs

    def mixed(self, losses: Tensor, outputs: Tensor, labels: Tensor, n_epochs: int) -> Tensor:
        """Return the loss of each record of a batch, or of the batches of several models at once.

        Args:
            losses: As they are so far, after the defences before this one [nats].
            outputs: Logits, record x class.
            labels: Classes.
            n_epochs: Epochs before this one.
        """
        return losses

    def turns(self, classifier: nn.Module, data: Data, n_epochs: int, n_batches: int) -> Iterator[int]:
        """Yield which batches of an epoch are trained on, in turn; what else is to be done is done in between.

        Of several defences the last one is asked.

        Args:
            classifier: As it is then, in training mode, in which it is to be left.
            data: All that is trained on.
            n_epochs: Epochs before this one.
            n_batches: Of the epoch.
        """
        yield from range(n_batches)

    def turns_of_stack(self, stack: "Stack", data: Data, n_epochs: int, n_batches: int) -> Iterator[int]:
        """Yield which batches of an epoch all models of a stack are trained on, in turn; otherwise as `turns`.

        Args:
            stack: The models that are still in training.
            data: All that any of them is trained on.
            n_epochs: Epochs before this one.
            n_batches: Of the epoch.
        """
        yield from range(n_batches)

    def on(self, network: nn.Module) -> Penalty | None:
        """Return what is added to the mean loss of networks like this one; None if nothing is."""
        return None


@dataclass(frozen=True)
class L2(Defence):
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
        _check_strength(self.strength, "an L2 penalty")

    def on(self, network: nn.Module) -> Penalty:
        """Return the penalty for networks like this one.

        Raises:
            InputError: It has no linear layers, and the penalty is of those.
        """
        by_norm = self.of == Penalised.NORM
        names = _penalised(network, not by_norm, f"an L2 penalty on the {self.of}")

        def penalty(weights: Mapping[str, Tensor]) -> Tensor:
            each = torch.cat([weights[name].reshape(len(weights[name]), -1) for name in names], dim=1)
            size: Tensor = torch.linalg.vector_norm(each, dim=1) if by_norm else each.square().sum(dim=1)
            return self.strength * size

        return penalty


@dataclass(frozen=True)
class L1(Defence):
    """A penalty on the sum of the sizes of the weights of linear layers, without biases.

    Attributes:
        strength: What it is multiplied by.

    Raises:
        InputError: The strength is negative.

    Example:
        >>> L1(0.5).on(nn.Linear(2, 1))({"weight": torch.tensor([[[3.0, -4.0]]])})  # of one model
        tensor([3.5000])

    Source:
        Choquette-Choo et al. 2021, as their code has it; the norm of appendix E is not offered.
    """

    strength: float

    def __post_init__(self) -> None:
        _check_strength(self.strength, "an L1 penalty")

    def on(self, network: nn.Module) -> Penalty:
        """Return the penalty for networks like this one.

        Raises:
            InputError: It has no linear layers.
        """
        names = _penalised(network, True, "an L1 penalty on dense layers")
        return lambda weights: self.strength * torch.stack([weights[n].abs().flatten(1).sum(1) for n in names]).sum(0)


@dataclass(frozen=True)
class LabelSmoothing(Defence):
    """Labels that give a share of their weight to all classes alike.

    Attributes:
        share: That is given away, in [0, 1).

    Raises:
        InputError: The share is out of range.

    Example:
        >>> outputs, labels = torch.tensor([[2.0, 0.0]]), torch.tensor([0])
        >>> LabelSmoothing(0.5).mixed(functional.cross_entropy(outputs, labels, reduction="none"), outputs, labels, 0)
        tensor([0.6269])

    Source:
        Szegedy et al. 2016, section 7.
    """

    share: float

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise InputError(f"Expected a share in [0, 1) for label smoothing, found {self.share:g}; give one, as 0.1.")

    def mixed(self, losses: Tensor, outputs: Tensor, labels: Tensor, n_epochs: int) -> Tensor:
        """Return the losses against smoothed labels."""
        of_all_classes = -functional.log_softmax(outputs, dim=1).mean(dim=1)
        return (1 - self.share) * losses + self.share * of_all_classes


@dataclass(frozen=True)
class ConfidencePenalty(Defence):
    """A reward for answers of high entropy.

    Attributes:
        strength: What the entropy is multiplied by, before it is taken from the loss.

    Raises:
        InputError: The strength is negative.

    Example:
        >>> ConfidencePenalty(1.0).mixed(torch.tensor([1.0]), torch.zeros(1, 2), torch.tensor([0]), 0)  # 1 - log 2
        tensor([0.3069])

    Source:
        Pereyra et al. 2017, section 3.
    """

    strength: float

    def __post_init__(self) -> None:
        _check_strength(self.strength, "a confidence penalty")

    def mixed(self, losses: Tensor, outputs: Tensor, labels: Tensor, n_epochs: int) -> Tensor:
        """Return the losses less the entropies."""
        logs = functional.log_softmax(outputs, dim=1)
        return losses + self.strength * (logs.exp() * logs).sum(dim=1)


@dataclass(frozen=True)
class RelaxLoss(Defence):
    """A mean loss of batches that is kept at a target, rather than at 0.

    A batch at or above the target is trained on as ever. Below it, the loss is raised in the first, third, fifth ...
    epoch; in the others, what a class other than the true one is given is made the same for all of them. The history
    has the loss as it was.

    Attributes:
        target: Of the mean loss [nats].

    Raises:
        InputError: The target is negative.

    Example:
        >>> outputs, labels = torch.tensor([[2.0, 0.0, 1.0]], requires_grad=True), torch.tensor([0])
        >>> losses = functional.cross_entropy(outputs, labels, reduction="none")
        >>> RelaxLoss(1.0).mixed(losses, outputs, labels, 0).backward()
        >>> outputs.grad.round(decimals=2)  # where other training would have the opposite
        tensor([[ 0.3300, -0.0900, -0.2400]])

    Source:
        Chen, Yu & Fritz 2022, algorithm 1.
    """

    not_in_stacks: ClassVar[str] = "RelaxLoss looks at the mean loss of a model's batch"

    target: float

    def __post_init__(self) -> None:
        _check_strength(self.target, "a target loss")

    def mixed(self, losses: Tensor, outputs: Tensor, labels: Tensor, n_epochs: int) -> Tensor:
        """Return the losses, the same with gradients turned round, or those against flattened answers."""
        if not bool(losses.mean() < self.target):
            return losses
        if n_epochs % 2 == 0:
            return 2 * losses.detach() - losses
        logs = functional.log_softmax(outputs, dim=1)
        own = logs.detach().exp().gather(1, labels[:, None])
        others = ((1 - own) / max(outputs.shape[1] - 1, 1)).expand_as(outputs)
        flattened = -(others.scatter(1, labels[:, None], own) * logs).sum(dim=1)
        return flattened + (losses - flattened).detach()


@dataclass(frozen=True)
class Translates(Defence):
    """The training set is enlarged to all translates of its images, every epoch: `4 distance + 1` of each.

    Images of bytes are record x height x width (x channel), others have their channels first, as networks take them.

    Attributes:
        distance: How far they are moved, by rows and columns together [pixels]; what comes in repeats the border.

    Raises:
        InputError: The distance is below 1.

    Example:
        >>> Translates(1).enlarged(torch.arange(4).reshape(1, 2, 2)).tolist()[1:3]  # up, and to the left
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

    def enlarged(self, inputs: Tensor) -> Tensor:
        """Return all images as they are, then all of them moved one way, and so on.

        Raises:
            InputError: They are no images, or not larger than the distance.
        """
        rows = 2 if inputs.ndim == 4 and inputs.dtype != torch.uint8 else 1
        if inputs.ndim not in (3, 4) or min(inputs.shape[rows : rows + 2]) <= self.distance:
            raise InputError(
                f"Expected images of more than {self.distance} pixels each way for translates, found inputs of shape "
                f"{tuple(inputs.shape)}; give record x height x width x channel, or a smaller distance."
            )
        return torch.cat([_moved(_moved(inputs, down, rows), right, rows + 1) for down, right in self._shifts()])

    def _shifts(self) -> Iterator[tuple[int, int]]:
        yield 0, 0
        for down in range(-self.distance, self.distance + 1):
            for right in sorted({abs(down) - self.distance, self.distance - abs(down)}):
                yield down, right


def _check_strength(strength: float, what: str) -> None:
    if not strength >= 0:
        raise InputError(f"Expected {what} of 0 or more, found {strength:g}; give its strength.")


def _penalised(network: nn.Module, dense: bool, what: str) -> list[str]:
    """The names of the trainable weights of linear layers, or of all trainable parameters."""
    owned = {id(layer.weight) for layer in network.modules() if isinstance(layer, nn.Linear)}
    names = [n for n, w in network.named_parameters() if w.requires_grad and (not dense or id(w) in owned)]
    if not names:
        raise InputError(
            f"Expected weights for {what}, found none in {type(network).__name__}; leave it out, or penalise the norm "
            "of all weights with L2(strength, Penalised.NORM)."
        )
    return names


def _moved(images: Tensor, by: int, axis: int) -> Tensor:
    size = images.shape[axis]
    return images.index_select(axis, (torch.arange(size, device=images.device) - by).clamp(0, size - 1))
