"""The doubled softmax against numbers worked by hand."""

import math

import pytest
import torch

from vestige.papers.losses import cross_entropy_after_softmax
from vestige.training.torch_recipe import cross_entropy


def test_two_classes_by_hand():
    # softmax of (ln 3, 0) is (3/4, 1/4); its own softmax gives class 0 the share 1 / (1 + exp(-1/2)).
    logits = torch.tensor([[math.log(3), 0.0]] * 2)
    losses = cross_entropy_after_softmax(logits, torch.tensor([0, 1]))
    assert losses.tolist() == pytest.approx([math.log(1 + math.exp(-0.5)), math.log(1 + math.exp(0.5))], abs=1e-6)
    assert cross_entropy(logits, torch.tensor([0, 1])).tolist() == pytest.approx(
        [math.log(4 / 3), math.log(4)], abs=1e-6
    )


@pytest.mark.parametrize("k", [2, 10])
def test_it_never_gets_below_its_floor(k):
    certain = torch.zeros(1, k).index_fill(1, torch.tensor([0]), 1e4)
    floor = math.log(1 + (k - 1) / math.e)
    assert float(cross_entropy_after_softmax(certain, torch.tensor([0]))) == pytest.approx(floor, abs=1e-6)


def test_its_gradient_fades_where_the_network_is_sure_and_wrong():
    logits = torch.tensor([[30.0, 0.0]], requires_grad=True)
    cross_entropy_after_softmax(logits, torch.tensor([1])).sum().backward()
    assert logits.grad is not None
    assert float(logits.grad.abs().max()) < 1e-9
