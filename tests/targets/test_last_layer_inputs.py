"""What the last linear layer is given equals what a known network computes, or the module is refused."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from vestige.core.errors import UnsupportedModelError
from vestige.core.inputs import InputSpace
from vestige.core.records import Records
from vestige.core.targets import EmbeddingModel
from vestige.defences import TopK
from vestige.targets.access import embeddings_of
from vestige.targets.objects.torch_module import TorchTarget
from vestige.targets.opening import open_target
from vestige.targets.preprocessing import defended, prepared_model


def network(n_classes=3, width=600):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(width, 5), nn.BatchNorm1d(5), nn.Dropout(0.5), nn.ReLU(), nn.Linear(5, n_classes))


def inputs(n=1030, width=600):
    return np.random.default_rng(0).normal(size=(n, width)).astype(np.float32)


def test_of_a_known_network_they_are_known():
    first = nn.Linear(2, 2, bias=False)
    module = nn.Sequential(first, nn.ReLU(), nn.Linear(2, 3))
    with torch.no_grad():
        first.weight[:] = torch.tensor([[1.0, -1.0], [2.0, 0.0]])
    found = TorchTarget(module, 3).last_layer_inputs(np.array([[3.0, 1.0], [1.0, 3.0]]))
    assert found.tolist() == [[2.0, 6.0], [0.0, 2.0]]


def test_a_single_linear_layer_is_given_the_inputs_themselves():
    x = inputs(4, 6)
    np.testing.assert_array_equal(TorchTarget(nn.Linear(6, 3), 3).last_layer_inputs(x), x)


def test_batches_change_nothing_and_the_module_is_left_as_it_was():
    module, x = network(), inputs()
    before = copy.deepcopy(module.state_dict())
    target = TorchTarget(module.train(), 3)
    found = target.last_layer_inputs(x)  # in three batches
    with torch.no_grad():
        expected = copy.deepcopy(module).eval()[:-1](torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(target.last_layer_inputs(x[::-1])[::-1], found, rtol=1e-5, atol=1e-6)
    single = np.concatenate([target.last_layer_inputs(x[i : i + 1]) for i in range(8)])
    np.testing.assert_allclose(single, found[:8], rtol=1e-5, atol=1e-6)
    assert all(part.training for part in module.modules())
    assert not any(part._forward_hooks for part in module.modules())
    assert all(torch.equal(module.state_dict()[name], value) for name, value in before.items())


def test_one_logit_for_two_classes_has_them_too():
    module, x = network(n_classes=1).eval(), inputs(5)
    found = TorchTarget(module, 2).last_layer_inputs(x)
    np.testing.assert_allclose(found, module[:-1](torch.from_numpy(x)).detach().numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("last", [nn.Softmax(dim=1), nn.Conv1d(5, 3, 1)])
def test_a_last_layer_that_is_not_linear_is_refused(last):
    parts = list(network())[:-1]
    made = [nn.Unflatten(1, (5, 1)), last, nn.Flatten()] if isinstance(last, nn.Conv1d) else [nn.Linear(5, 3), last]
    with pytest.raises(UnsupportedModelError, match=r"Expected logits that come from an nn\.Linear in Sequential"):
        TorchTarget(nn.Sequential(*parts, *made), 3).last_layer_inputs(inputs(4))


def test_who_has_no_layers_has_no_embeddings():
    assert isinstance(open_target(network(), 3), EmbeddingModel)
    assert not isinstance(open_target(lambda x: np.full((len(x), 2), 0.5), 2), EmbeddingModel)


def test_prepared_inputs_reach_the_layer_and_a_defence_closes_the_door():
    x, space = inputs(6, 4), InputSpace(mean=1.0, scale=2.0)
    model = TorchTarget(nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)), 3)
    found = prepared_model(model, space)
    assert isinstance(found, EmbeddingModel)
    np.testing.assert_array_equal(found.last_layer_inputs(x), model.last_layer_inputs(space.prepared(x)))
    ids, features = embeddings_of(found, Records(x, [0] * 6, ids=list("abcdef")))
    assert ids.tolist() == list("abcdef")
    np.testing.assert_array_equal(features, found.last_layer_inputs(x))
    with pytest.raises(UnsupportedModelError, match="Expected a torch module with a last layer for features"):
        embeddings_of(defended(found, TopK(1)), Records(x, [0] * 6))
