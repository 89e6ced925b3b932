"""Small records and networks for the tests of training, and how trained models are compared."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vestige.core.records import Records
from vestige.training.torch_recipe import TorchRecipe, as_float

N_RECORDS = 48
N_CLASSES = 3


def table(n: int = N_RECORDS, width: int = 6, seed: int = 0) -> Records:
    """Records of numbers, with labels that depend on them."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(n, width)).astype(np.float32)
    labels = np.digitize(inputs[:, 0] + 0.3 * rng.normal(size=n), [-0.5, 0.5])
    return Records(inputs, labels, classes=["low", "middle", "high"])


def images(n: int = N_RECORDS, seed: int = 0) -> Records:
    """Records of colour images of bytes, record x height x width x channel."""
    rng = np.random.default_rng(seed)
    return Records(rng.integers(0, 256, (n, 6, 6, 3), dtype=np.uint8), np.arange(n) % N_CLASSES)


def membership(*counts: int, n: int = N_RECORDS, seed: int = 1) -> np.ndarray:
    """A row for each count, with so many members."""
    rng = np.random.default_rng(seed)
    return np.array([rng.permutation(n) < count for count in counts])


def as_double(inputs: Tensor) -> Tensor:
    """Float64, in which rounding lies a million times below what any mistake would do."""
    return as_float(inputs).double()


def sgd(**options: Any) -> Callable[[Any], torch.optim.Optimizer]:
    return functools.partial(torch.optim.SGD, **{"lr": 0.1, **options})


def recipe(network: Callable[[], nn.Module], **options: Any) -> TorchRecipe:
    """A short training."""
    return TorchRecipe(network, **{"epochs": 3, "batch_size": 8, "optimiser": sgd(), **options})


def in_double(network: Callable[[], nn.Module], **options: Any) -> TorchRecipe:
    """The same in float64."""
    return recipe(lambda: network().double(), **{"preprocess": as_double, **options})


def mlp(*between: Callable[[], nn.Module], width: int = 6) -> nn.Sequential:
    """Two hidden layers of 8, with further layers after each of them."""
    first, second = ([make() for make in (nn.ReLU, *between)] for _ in range(2))
    return nn.Sequential(nn.Linear(width, 8), *first, nn.Linear(8, 8), *second, nn.Linear(8, N_CLASSES))


def linear() -> nn.Module:
    return nn.Linear(6, N_CLASSES)


def tensors(model: Any) -> dict[str, Tensor]:
    """Everything that a model, or a network, has learnt."""
    network = getattr(model, "classifier", model)
    network = getattr(network, "network", network)
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def same_bits(first: Any, second: Any) -> bool:
    a, b = tensors(first), tensors(second)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def distance(first: Any, second: Any) -> float:
    """The largest difference between two models, in any weight or buffer."""
    a, b = tensors(first), tensors(second)
    assert a.keys() == b.keys()
    assert all(a[name].dtype == b[name].dtype for name in a)
    return max(float((a[name].double() - b[name].double()).abs().max()) for name in a)
