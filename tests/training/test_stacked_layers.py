"""The parts of a stack: which way a network goes, masks of dropout, and what looks at other records."""

import functools

import pytest
import torch
from tests.training.networks import linear, mlp
from torch import nn

from vestige.core.errors import UnsupportedModelError
from vestige.training.stacked_layers import Direct, Masks, UnderVmap, sees_others, stacked_network


def streams(n):
    return [torch.Generator().manual_seed(seed) for seed in range(n)]


def masks(n_records, width):
    found = Masks(streams(len(n_records)))
    found.of_batch(torch.empty(len(n_records), width, 1), n_records)
    return found


def hooked():
    network = mlp()
    network.register_forward_hook(lambda *_: None)
    return network


def patched():
    network = mlp()
    network[1].forward = torch.tanh
    return network


class Squared(nn.Linear):
    def forward(self, inputs):
        return super().forward(inputs) ** 2


@pytest.mark.parametrize(
    ("network", "way"),
    [
        (linear, Direct),
        (mlp, Direct),
        (functools.partial(mlp, nn.Dropout), Direct),
        (lambda: nn.Sequential(nn.Flatten(), mlp()), Direct),
        (lambda: nn.Sequential(nn.Flatten(0), mlp()), UnderVmap),
        (functools.partial(mlp, nn.PReLU), UnderVmap),
        (functools.partial(mlp, nn.Dropout1d), UnderVmap),
        (lambda: nn.utils.parametrizations.weight_norm(linear()), UnderVmap),
        (lambda: Squared(6, 3), UnderVmap),
        (hooked, UnderVmap),
        (patched, UnderVmap),
        (lambda: nn.Softmax(dim=1), UnderVmap),
    ],
)
def test_rows_of_simple_layers_go_directly(network, way):
    assert type(stacked_network(network(), Masks([]))) is way


@pytest.mark.parametrize("network", [mlp, functools.partial(mlp, nn.PReLU)])
def test_a_stack_answers_as_its_networks_do(network):
    """Both ways, packed and unpacked."""
    networks = [network().double() for _ in range(3)]
    weights, buffers = torch.func.stack_module_state(networks)
    stack = stacked_network(networks[0], Masks([]))
    packed = stack.packed(weights)
    inputs = torch.randn(3, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    outputs = stack.answers(packed, buffers, inputs, training=False)
    expected = torch.stack([net(x) for net, x in zip(networks, inputs, strict=True)])
    torch.testing.assert_close(outputs, expected, rtol=1e-13, atol=1e-13)
    unpacked = stack.unpacked(packed)
    assert all(torch.equal(unpacked[name], weights[name]) for name in weights)


def test_shared_weights_have_one_place():
    layer = nn.Linear(6, 6)
    network = nn.Sequential(layer, nn.ReLU(), layer, nn.Linear(6, 3))
    stack = stacked_network(network, Masks([]))
    assert isinstance(stack, Direct)
    weights, buffers = torch.func.stack_module_state([network])
    assert set(weights) == {"0.weight", "0.bias", "3.weight", "3.bias"}
    x = torch.ones(1, 2, 6)
    torch.testing.assert_close(stack.answers(stack.packed(weights), buffers, x, training=True)[0], network(x[0]))


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Dropout(0.3), (5, 4)),
        (nn.Dropout(0.3), (5, 4, 2, 3)),
        (nn.Dropout1d(0.5), (5, 4, 7)),
        (nn.Dropout2d(0.5), (5, 4, 3, 2)),
        (nn.Dropout3d(0.5), (5, 4, 3, 2, 2)),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_masks_are_those_of_the_layer_itself(layer, shape, dtype):
    """With the layer's own stream at the same seed, bit for bit; rows of padding are left alone."""
    n_records = [5, 3, 1]
    inputs = torch.randn(3, *shape, generator=torch.Generator().manual_seed(7)).to(dtype)
    found = masks(n_records, 5).apply(inputs, layer)
    for seed, n in enumerate(n_records):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            assert torch.equal(found[seed, :n], layer.train()(inputs[seed, :n]))
        assert torch.equal(found[seed, n:], inputs[seed, n:])


def test_masks_go_on_in_their_streams():
    layer, x = nn.Dropout(0.5), torch.ones(1, 4, 5)
    both = masks([4], 4)
    first, second = both.apply(x, layer)[0], both.apply(x, layer)[0]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert torch.equal(first, layer(x[0]))
        assert torch.equal(second, layer(x[0]))
    assert not torch.equal(first, second)


def test_dropout_of_everything_draws_nothing():
    found = masks([2], 4)
    before = found.streams[0].get_state()
    assert torch.equal(found.apply(torch.ones(1, 4, 5), nn.Dropout(1.0)), torch.zeros(1, 4, 5))
    assert torch.equal(found.streams[0].get_state(), before)


@pytest.mark.parametrize(
    ("layer", "shape", "n"),
    [
        (nn.Dropout(0.5), (1, 8, 5), 3),  # of 8 rows it is not known which are of the 3 records of 4
        (nn.Dropout1d(0.5), (1, 4, 5), 4),  # torch takes it for one record of 4 channels
        (nn.Dropout3d(0.5), (1, 4, 5, 2, 2), 4),
    ],
)
def test_dropout_where_records_cannot_be_told(layer, shape, n):
    with pytest.raises(UnsupportedModelError, match=r"records first in Dropout.*, found shape \("):
        masks([n], 4).apply(torch.ones(shape), layer)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (mlp(), False),
        (mlp(nn.Dropout), False),  # chance is taken out
        (mlp(functools.partial(nn.BatchNorm1d, 8)), True),
        (nn.BatchNorm1d(6).requires_grad_(False), True),
        (nn.InstanceNorm1d(6), False),
        (lambda x: x * 2, False),
        (lambda x: x - x.mean(dim=0), True),
        (lambda x: torch.full_like(x, torch.nan), False),
        (lambda x: x.sum(dim=0, keepdim=True).expand_as(x), True),
        (torch.rand_like, True),
    ],
)
def test_who_looks_at_other_records(answer, expected):
    inputs = torch.randn(9, 6, generator=torch.Generator().manual_seed(3))
    if isinstance(answer, nn.InstanceNorm1d):
        inputs = inputs[..., None].expand(-1, -1, 4) * torch.arange(1.0, 5)
    before = torch.get_rng_state()
    assert sees_others(answer, inputs) is expected
    assert torch.equal(torch.get_rng_state(), before)


def test_looking_changes_neither_network_nor_records():
    network = nn.BatchNorm1d(6)
    inputs = torch.ones(4, 6)
    sees_others(network, inputs)
    sees_others(lambda x: x.mul_(2), inputs)
    assert network.num_batches_tracked is not None
    assert int(network.num_batches_tracked) == 0
    assert torch.equal(inputs, torch.ones(4, 6))
