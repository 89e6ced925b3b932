"""A clipped step of DP-SGD against that of Opacus, and an accountant, where they are installed (extra `bench`)."""

import functools

import pytest
import torch
from tests.training.networks import images, in_double, mlp, table
from torch import nn
from torch.nn import functional

from vestige.training.accounting import epsilon_of
from vestige.training.dp_sgd import DPSGD, PrivateGradients


def cnn():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.GroupNorm(2, 4), nn.ReLU(), nn.Conv2d(4, 4, 3, stride=2), nn.Flatten(),
        nn.LayerNorm(16), nn.Linear(16, 3),
    )  # fmt: skip


@pytest.mark.parametrize(("network", "records"), [(functools.partial(mlp, nn.Tanh), table()), (cnn, images())])
@pytest.mark.parametrize("clip", [0.05, 0.5, 100.0])
@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
def test_a_clipped_step_is_that_of_opacus(network, records, clip):
    opacus = pytest.importorskip("opacus")
    defence = DPSGD(clip, noise=0.0)
    it = in_double(network, batch_size=16, defences=(defence,))
    x, y = torch.tensor(records.inputs), torch.tensor(records.labels)
    prepared = it.preprocess(x[:16]).contiguous()  # of others, its gradients of convolutions are wrong in 1.6
    classifier = it.new_classifier()
    own, theirs = classifier.network, opacus.GradSampleModule(network().double())
    theirs.load_state_dict({f"_module.{name}": value for name, value in own.state_dict().items()})
    private = PrivateGradients.of(it, defence, classifier, x, y, 0)
    with private.watched(own, 16) as calls:
        losses = functional.cross_entropy(own(prepared), y[:16], reduction="none")
    private.mean_of(losses, calls, own).backward()
    plain = torch.optim.SGD(theirs.parameters(), lr=1.0)
    step = opacus.optimizers.DPOptimizer(plain, noise_multiplier=0.0, max_grad_norm=clip, expected_batch_size=16)
    functional.cross_entropy(theirs(prepared), y[:16]).backward()
    assert step.pre_step()
    for a, b in zip(own.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-6, atol=1e-6 * clip)  # it adds 1e-6 to norms


@pytest.mark.parametrize(("share", "noise", "steps"), [(0.01, 1.1, 1_000), (0.1, 1.0, 300), (1.0, 4.0, 50)])
def test_the_accountant_is_no_looser_than_dp_accounting(share, noise, steps):
    accounting = pytest.importorskip("dp_accounting")
    event = accounting.PoissonSampledDpEvent(share, accounting.GaussianDpEvent(noise))
    theirs = accounting.rdp.RdpAccountant().compose(event, steps).get_epsilon(1e-5)
    assert epsilon_of(noise, share, steps, 1e-5) == pytest.approx(theirs, rel=0.02)
    assert epsilon_of(noise, share, steps, 1e-5) <= theirs * (1 + 1e-6)
