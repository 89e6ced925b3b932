"""Small records and networks for the tests of training, and how trained models are compared."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vestige.core.recipe import Model
from vestige.core.records import Records
from vestige.training.classifier import as_float
from vestige.training.stacked import train_stack
from vestige.training.torch_recipe import TorchRecipe

N_RECORDS = 48
N_CLASSES = 3
ROUNDING = 1e-11  # of float64
UNEQUAL = (17, 20, 23)  # three steps of 8 each, the last one of 1, 4 and 7 records
EQUAL = (20, 20, 20)


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


def linear() -> nn.Linear:
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


class Skip(nn.Module):
    """A network of a user's own, with layers inside it that it calls in its own order."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.last = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3)
        self.drop = nn.Dropout(0.4)
        self.scale = nn.Parameter(torch.tensor(1.5))

    def forward(self, inputs):
        hidden = self.first(inputs).tanh()
        return self.last(hidden + self.scale * self.drop(self.second(hidden).relu()))


def noisy(inputs, generator):
    return inputs + 0.3 * torch.randn(inputs.shape, generator=generator, dtype=inputs.dtype)


def noisy_from_the_global_stream(inputs, generator):
    """As most libraries of augmentation do."""
    return inputs + 0.3 * torch.randn(inputs.shape, dtype=inputs.dtype)


def both(it, records, member, seeds=None, **options):
    """The models of a stack, and the same ones trained one by one."""
    seeds = range(len(member)) if seeds is None else seeds
    stack = train_stack(it, records, member, seeds=seeds, **options)
    plain = [it.fit(records.take(row), seed=seed, **options) for row, seed in zip(member, seeds, strict=True)]
    return stack, plain


def agree(it, records, member, tolerance=ROUNDING, **options):
    """Assert that a stack gives what the plain loop gives, down to checkpoints and history; return it."""
    stack, plain = both(it, records, member, **options)
    for a, b in zip(stack, plain, strict=True):
        assert isinstance(a, Model), a
        assert [m.epoch for m in (*a.checkpoints, a)] == [m.epoch for m in (*b.checkpoints, b)]
        assert (a.seed, a.n_classes) == (b.seed, b.n_classes)
        assert a.classifier.training == b.classifier.training
        for one, other in zip((*a.checkpoints, a), (*b.checkpoints, b), strict=True):
            assert distance(one, other) <= tolerance
            assert one.history.keys() == other.history.keys()
            for name in one.history:
                assert one.history[name] == pytest.approx(other.history[name], abs=10 * tolerance)
    assert len({tuple(m.history["loss"]) for m in stack}) == len(stack)
    return stack


def refused(error, call, *essentials):
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert not [e for e in essentials if e not in message], message
