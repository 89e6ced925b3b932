"""From inputs as they are in the records to the numbers that a paper's network was given."""

from collections.abc import Sequence

import torch
from torch import Tensor

from vestige.training.classifier import as_float

MNIST_MEAN, MNIST_STD = (0.1307,), (0.3081,)
"""Of the training images, the whole set over [0 to 1]."""

CIFAR100_MEAN, CIFAR100_STD = (129.3 / 255, 124.1 / 255, 112.4 / 255), (68.2 / 255, 65.4 / 255, 70.4 / 255)
"""Per channel, the digits of Watson et al.'s code [0 to 1]."""

CIFAR10_MEAN, CIFAR10_STD = (0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616)
"""Per channel, the digits of Phan's code [0 to 1]."""

ADULT_MEAN = (38.643585, 189664.135, 10.0780885, 1079.0676, 87.502314, 40.422382)
ADULT_STD = (13.7103696, 105602.944, 2.57094644, 7451.94277, 403.000427, 12.3913172)
"""Of age, weight, years of education, capital gain and loss, and hours a week, over all 48,842 records."""


def from_minus_one_to_one(inputs: Tensor) -> Tensor:
    """Return images of bytes as channels first in [-1, 1].

    Example:
        >>> image = torch.tensor([0, 255], dtype=torch.uint8).reshape(1, 1, 2, 1)
        >>> from_minus_one_to_one(image).flatten().tolist()
        [-1.0, 1.0]
    """
    return as_float(inputs) * 2 - 1


def standardised(inputs: Tensor, *, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Return images of bytes as channels first, less a mean and divided by a standard deviation per channel.

    Args:
        inputs: Images, record x height x width x channel.
        mean: Of each channel [0 to 1].
        std: Of each channel [0 to 1].
    """
    images = as_float(inputs)
    return (images - _per_channel(mean, images)) / _per_channel(std, images)


def first_standardised(inputs: Tensor, *, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Return a table with its first columns less a mean and divided by a standard deviation; the others as they are.

    Args:
        inputs: A batch, record x column.
        mean: Of each of the first columns.
        std: Of each of the first columns.

    Example:
        >>> first_standardised(torch.tensor([[30.0, 1.0]]), mean=(20.0,), std=(5.0,)).tolist()
        [[2.0, 1.0]]
    """
    columns = as_float(inputs)
    first, rest = columns[:, : len(mean)], columns[:, len(mean) :]
    return torch.cat([(first - first.new_tensor(mean)) / first.new_tensor(std), rest], dim=1)


def black(mean: Sequence[float], std: Sequence[float]) -> tuple[float, ...]:
    """Return what a black pixel becomes in `standardised`.

    Example:
        >>> black((0.5,), (0.25,))
        (-2.0,)
    """
    return tuple(-m / s for m, s in zip(mean, std, strict=True))


def _per_channel(values: Sequence[float], images: Tensor) -> Tensor:
    return torch.tensor(values, dtype=images.dtype, device=images.device)[:, None, None]
