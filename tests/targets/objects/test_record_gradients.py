"""The gradient norms of single records equal those of a plain loop of backward passes, for every kind of network."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from vestige.papers.networks.convolutional import smallnet, two_convolutions
from vestige.papers.networks.perceptron import perceptron
from vestige.papers.networks.wide_resnet import WideResNet
from vestige.targets.objects.record_gradients import (
    squared_norms_by_layer,
    squared_norms_for,
    squared_norms_one_by_one,
    weights_of,
)
from vestige.targets.objects.torch_module import TorchTarget


def loop(module, x, y):
    """The plain form: one backward pass of the cross-entropy per record, over all parameters."""
    norms = []
    for i in range(len(x)):
        module.zero_grad()
        functional.cross_entropy(module(torch.from_numpy(x[i : i + 1])), torch.from_numpy(y[i : i + 1])).backward()
        gradients = [p.grad for p in module.parameters() if p.grad is not None]
        norms.append(torch.stack([g.double().square().sum() for g in gradients]).sum().sqrt().item())
    return np.array(norms)


def images(n=5, channels=3, size=8, seed=0):
    return np.random.default_rng(seed).normal(size=(n, channels, size, size)).astype(np.float32)


def labels(n=5, n_classes=4):
    return np.arange(n) % n_classes


class Residual(nn.Module):
    """A block whose sum changes the output of its normalisation in place."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.group = nn.GroupNorm(2, 8)
        self.out = nn.Linear(8, 4)

    def forward(self, x):
        x = functional.relu(self.norm(self.first(x)), inplace=True)
        y = self.group(self.second(x))
        y += x
        return self.out(functional.relu_(y).mean(dim=(2, 3)))


class Sequence(nn.Module):
    """An embedding, a layer norm and linear layers at every position."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 6)
        self.norm = nn.LayerNorm(6)
        self.inner = nn.Linear(6, 5)
        self.out = nn.Linear(5, 4)

    def forward(self, tokens):
        return self.out(torch.tanh(self.inner(self.norm(self.embed(tokens)))).mean(dim=1))


class Viewed(nn.Module):
    """A view of what a convolution gave, which there is none of with channels last."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Conv2d(3, 4, 3, padding=1)
        self.out = nn.Linear(4 * 64, 4)

    def forward(self, x):
        return self.out(torch.relu(self.inner(x)).view(len(x), -1))


def of_convolutions(**options) -> nn.Sequential:
    size = options.pop("kernel_size", 3)
    return nn.Sequential(
        nn.Conv2d(3, 4, size, **options), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 4)
    )


BY_LAYER = {
    "linear": (lambda: nn.Linear(6, 4), (6,)),
    "view": (Viewed, (3, 8, 8)),
    "perceptron": (lambda: perceptron(6, (16, 8), 4, activation=nn.Tanh), (6,)),
    "wide perceptron": (lambda: nn.Sequential(nn.Linear(6, 300), nn.ReLU(), nn.Linear(300, 4)), (6,)),
    "without bias": (lambda: nn.Sequential(nn.Linear(6, 8, bias=False), nn.ReLU(), nn.Linear(8, 4, bias=False)), (6,)),
    "layer norm": (lambda: nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 4)), (6,)),
    "smallnet": (lambda: smallnet(4), (3, 8, 8)),
    "two convolutions": (lambda: two_convolutions(4, n_channels=3, size=28), (3, 28, 28)),
    "strides": (lambda: of_convolutions(stride=(2, 1), padding=(1, 0)), (3, 9, 8)),
    "dilation": (lambda: of_convolutions(dilation=(2, 3), kernel_size=(2, 3)), (3, 9, 10)),
    "same": (lambda: of_convolutions(padding="same", kernel_size=(2, 3), dilation=2), (3, 8, 8)),
    "groups": (lambda: nn.Sequential(nn.Conv2d(3, 6, 3, groups=3), nn.Flatten(), nn.Linear(216, 4)), (3, 8, 8)),
    "reflection": (lambda: of_convolutions(padding=1, padding_mode="reflect"), (3, 8, 8)),
    "one-dimensional": (lambda: nn.Sequential(nn.Conv1d(3, 4, 3), nn.Flatten(), nn.Linear(24, 4)), (3, 8)),
    "scaled": (lambda: nn.Sequential(nn.Linear(6, 4), nn.PReLU(4), nn.Linear(4, 4)), (6,)),
    "residual": (Residual, (3, 8, 8)),
    "sequence": (Sequence, None),
    "wide resnet": (lambda: WideResNet(4, depth=10, width=1), (3, 8, 8)),
}


class Shared(nn.Module):
    """A layer that is called twice."""

    def __init__(self):
        super().__init__()
        self.inner, self.out = nn.Linear(6, 6), nn.Linear(6, 4)

    def forward(self, x):
        return self.out(self.inner(torch.tanh(self.inner(x))))


class Tied(nn.Module):
    """Two layers with one weight."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.out = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 4)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.out(self.second(torch.tanh(self.first(x))))


class Outside(nn.Module):
    """A weight that is used outside of its layer as well."""

    def __init__(self):
        super().__init__()
        self.inner, self.out = nn.Linear(6, 6), nn.Linear(6, 4)

    def forward(self, x):
        return self.out(torch.tanh(self.inner(x)) @ self.inner.weight)


class Token(nn.Module):
    """A parameter of a module with parts, as the class token of a transformer."""

    def __init__(self):
        super().__init__()
        self.token = nn.Parameter(torch.ones(6))
        self.out = nn.Linear(6, 4)

    def forward(self, x):
        return self.out(x * self.token)


class Folded(nn.Module):
    """Positions in the axis of the records."""

    def __init__(self):
        super().__init__()
        self.inner, self.out = nn.Linear(3, 6), nn.Linear(6, 4)

    def forward(self, x):
        return self.out(torch.tanh(self.inner(x.reshape(-1, 3))).reshape(len(x), 2, 6).sum(dim=1))


class PositionsFirst(nn.Module):
    """Positions before records: two of them, as many as records are compared."""

    def __init__(self):
        super().__init__()
        self.inner, self.out = nn.Linear(3, 6), nn.Linear(6, 4)

    def forward(self, x):
        return self.out(torch.tanh(self.inner(x.reshape(len(x), 2, 3).transpose(0, 1))).sum(dim=0))


class Mixing(nn.Module):
    """Whatever else is asked changes the answer."""

    def __init__(self):
        super().__init__()
        self.out = nn.Linear(6, 4)

    def forward(self, x):
        return self.out(x - x.mean(dim=0) / 2)


class Recurrent(nn.Module):
    """A layer that gives two outputs."""

    def __init__(self):
        super().__init__()
        self.inner, self.out = nn.LSTM(3, 5, batch_first=True), nn.Linear(5, 4)

    def forward(self, x):
        return self.out(self.inner(x.reshape(len(x), 2, 3))[0][:, -1])


class Attention(nn.Module):
    """A layer that reaches into its part."""

    def __init__(self):
        super().__init__()
        self.inner, self.out = nn.MultiheadAttention(3, 1, batch_first=True), nn.Linear(3, 4)

    def forward(self, x):
        x = x.reshape(len(x), 2, 3)
        return self.out(self.inner(x, x, x)[0].mean(dim=1))


class DataDependent(nn.Module):
    """A layer that `vmap` cannot take."""

    def __init__(self):
        super().__init__()
        self.inner, self.out = Clipped(), nn.Linear(6, 4)

    def forward(self, x):
        return self.out(self.inner(x))


class Clipped(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(6))

    def forward(self, x):
        return x * self.scale if float(x.sum()) > -1e9 else x


ONE_BY_ONE = {
    kind.__name__: kind
    for kind in (
        Shared, Tied, Outside, Token, Folded, PositionsFirst, Mixing, Recurrent, Attention, DataDependent,
    )
}  # fmt: skip


def inputs_of(name, shape, n=5):
    rng = np.random.default_rng(1)
    return rng.integers(11, size=(n, 7)) if shape is None else rng.normal(size=(n, *shape)).astype(np.float32)


def made(make):
    """A module with something in its running means, in evaluation mode."""
    torch.manual_seed(0)
    module = make()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.weight)
    for name, buffer in module.named_buffers():
        if buffer.is_floating_point():
            nn.init.uniform_(buffer, 0.5, 2.0 + len(name) % 2)
    return module.eval()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", BY_LAYER)
def test_networks_of_layers_take_one_pass_and_equal_the_loop(name, dtype):
    make, shape = BY_LAYER[name]
    module = made(make).to(dtype)
    x, y = inputs_of(name, shape), labels()
    x = x.astype(np.float64) if dtype is torch.float64 and x.dtype == np.float32 else x
    tensors = torch.from_numpy(x), torch.from_numpy(y)
    squared_norms = squared_norms_for(module, tensors[0])
    assert squared_norms.func is squared_norms_by_layer
    found = squared_norms(*tensors).sqrt().numpy()
    np.testing.assert_allclose(found, loop(module, x, y), rtol=1e-6 if dtype is torch.float32 else 1e-12)


@pytest.mark.parametrize("name", ONE_BY_ONE)
def test_other_modules_take_one_pass_per_record_and_equal_the_loop(name):
    module = made(ONE_BY_ONE[name])
    x, y = inputs_of(name, (6,)), labels()
    assert squared_norms_for(module, torch.from_numpy(x[:2])).func is squared_norms_one_by_one
    np.testing.assert_allclose(TorchTarget(module, 4).gradient_norms(x, y), loop(module, x, y), rtol=1e-6)


class Twice(nn.Module):
    """Asks a layer, and uses its weights beside."""

    def __init__(self):
        super().__init__()
        self.layer, self.out = nn.Linear(6, 6), nn.Linear(6, 4)

    def forward(self, x):
        return self.out(functional.linear(x, self.layer.weight) + self.layer(x))


def test_ways_are_compared_where_there_is_a_gradient():
    module = made(Twice)
    x = inputs_of("", (6,))
    x[:2] *= 1e5  # learnt by heart: a softmax of 1, even in double precision
    y = labels()
    y[:2] = module(torch.from_numpy(x[:2])).argmax(dim=1)
    found = TorchTarget(module, 4).gradient_norms(x, y)
    assert found[:2].tolist() == [0, 0]
    np.testing.assert_allclose(found[2:], loop(module, x[2:], y[2:]), rtol=1e-6)


def test_the_norm_of_a_linear_layer_by_hand():
    """For W = 0 and b = 0 the gradient is (p - e_y) (x, 1): its norm is |p - e_y| sqrt(|x|^2 + 1)."""
    module = nn.Linear(2, 2)
    nn.init.zeros_(module.weight)
    nn.init.zeros_(module.bias)
    norms = TorchTarget(module, 2).gradient_norms(np.array([[3.0, 4.0], [0.0, 0.0]], np.float32), np.array([0, 1]))
    np.testing.assert_allclose(norms, [np.sqrt(0.5 * 26), np.sqrt(0.5)], rtol=1e-7)


@pytest.mark.parametrize("margin", [5.0, 15.0, 30.0, 60.0, 90.0, 300.0, 700.0])
@pytest.mark.parametrize("way", [squared_norms_by_layer, squared_norms_one_by_one])
def test_norms_of_sure_answers_are_exact(way, margin):
    """Of two classes p - e_y is 1 / (1 + e^margin) times (1, -1): far below what float32 tells from 0."""
    module = nn.Linear(1, 2, bias=False)
    module.weight.data = torch.tensor([[margin], [0.0]])
    squares = way(module, weights_of(module), torch.ones(1, 1), torch.tensor([0]))
    expected = np.sqrt(2) / (1 + np.exp(margin))
    np.testing.assert_allclose(squares.sqrt().numpy(), [expected] if margin < 350 else [0.0], rtol=1e-6)


def test_answers_that_are_certain_have_norm_0():
    module = nn.Linear(1, 2, bias=False)
    module.weight.data = torch.tensor([[1e5], [0.0]])
    assert TorchTarget(module, 2).gradient_norms(np.ones((3, 1), np.float32), np.array([0, 0, 0])).tolist() == [0.0] * 3


def test_frozen_parameters_count_and_stay_frozen():
    module = made(lambda: smallnet(4))
    x, y = images(), labels()
    expected = loop(module, x, y)
    module.zero_grad()
    module.requires_grad_(False)
    np.testing.assert_allclose(TorchTarget(module, 4).gradient_norms(x, y), expected, rtol=1e-6)
    assert not any(p.requires_grad or p.grad is not None for p in module.parameters())


class Unused(nn.Module):
    """A layer nobody calls, one whose output nobody reads, and one that is asked without gradients."""

    def __init__(self):
        super().__init__()
        self.never, self.unread, self.fixed, self.out = (nn.Linear(6, 6) for _ in range(4))

    def forward(self, x):
        self.unread(x)
        with torch.no_grad():
            x = self.fixed(x)
        return self.out(x)[:, :4]


def test_parameters_without_a_part_in_the_loss_add_nothing():
    module = made(Unused)
    x, y = inputs_of("", (6,)), labels()
    assert squared_norms_for(module, torch.from_numpy(x[:2])).func is squared_norms_by_layer
    np.testing.assert_allclose(TorchTarget(module, 4).gradient_norms(x, y), loop(module, x, y), rtol=1e-6)


def test_a_module_without_parameters_has_norm_0():
    assert TorchTarget(nn.Identity(), 4).gradient_norms(np.eye(4, dtype=np.float32), labels(4)).tolist() == [0.0] * 4


@pytest.mark.parametrize("n", [1, 2, 3, 41, 45])
def test_blocks_change_nothing(n):
    """42 images of 32 x 32 make a block."""
    module = made(lambda: smallnet(4))
    x, y = images(n, size=32), labels(n)
    tensors = torch.from_numpy(x), torch.from_numpy(y)
    found = TorchTarget(module, 4).gradient_norms(x, y)
    np.testing.assert_allclose(
        found, squared_norms_one_by_one(module, weights_of(module), *tensors).sqrt().numpy(), rtol=1e-6
    )


def test_p4_s_cifar_network_equals_the_loop_in_few_passes():
    """42 images of 32 x 32 make a block; before, one is asked for the shape, two for a class and then in both ways."""
    module, x, y = made(smallnet), images(64, size=32), labels(64, 10)
    expected = loop(module, x, y)
    asked: list[int] = []
    handle = module.register_forward_hook(lambda _, given, __: asked.append(len(given[0])))
    np.testing.assert_allclose(TorchTarget(module, 10).gradient_norms(x, y), expected, rtol=1e-6)
    handle.remove()
    assert asked == [1, 2, 1, 1, 2, 42, 22]
