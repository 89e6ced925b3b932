"""On a CUDA device every number is what it is on the processor, within the tolerance that each test states.

Float64 is compared where training is: what a mistake of devices or streams would do lies far above its rounding.
"""

import copy

import numpy as np
import pytest
import torch
from tests.auditing.planted import row
from tests.training.networks import (
    EQUAL,
    UNEQUAL,
    distance,
    images,
    in_double,
    membership,
    mlp,
    recipe,
    table,
)
from torch import nn

from vestige import Querying, Records, ShadowTraining, audit
from vestige.core.inputs import InputSpace
from vestige.core.recipe import Model
from vestige.papers.networks.convolutional import smallnet
from vestige.signals.label_only.noise import NoiseStrength, noise_labels
from vestige.targets.objects.record_gradients import squared_norms_by_layer, squared_norms_for
from vestige.targets.objects.torch_module import TorchTarget, _for_gradients
from vestige.training.stacked import train_stack
from vestige.training.stopping import LossPlateau, ValidationPeak

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device"),
]

OF_DOUBLE = 1e-8
"""Float64, after three epochs of sums in another order."""
OF_SINGLE = 1e-4
"""Float32, relative to the largest answer."""
OF_TF32 = 5e-3
"""Convolutions on newer devices, which keep 10 bits of each factor."""


def convolutions() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3)
    )


def apart(first: Model, second: Model) -> float:
    """The largest difference of any weight or buffer."""
    return distance(first.classifier.cpu(), second.classifier.cpu())


def is_on_cuda(model: Model) -> bool:
    return all(p.is_cuda for p in model.classifier.parameters())


# ------------------------------------------------------------------------------------ training


@pytest.mark.parametrize(("network", "records"), [(mlp, table()), (convolutions, images())], ids=["table", "images"])
def test_plain_training(network, records):
    it = in_double(network, schedule=lambda share: 1 - share)
    here, there = (it.fit(records, seed=3, checkpoints=(1,), device=name) for name in ("cpu", "cuda"))
    assert is_on_cuda(there)
    assert here.history["loss"] == pytest.approx(there.history["loss"], abs=OF_DOUBLE)
    assert apart(here.checkpoints[0], there.checkpoints[0]) < OF_DOUBLE
    assert apart(here, there) < OF_DOUBLE


def test_a_recipe_trains_on_the_card_and_its_stored_model_is_asked_there():
    it = recipe(mlp)
    model = it.fit(table(), seed=0)
    loaded = it.load(it.dump(model))
    assert is_on_cuda(model)
    assert is_on_cuda(loaded)
    assert apart(model, loaded) == 0


@pytest.mark.parametrize(
    ("network", "records", "counts", "options"),
    [
        (mlp, table(), UNEQUAL, {}),
        (lambda: mlp(lambda: nn.Dropout(0.3)), table(), UNEQUAL, {}),
        (mlp, table(), EQUAL, {"stop": LossPlateau(0.02, 1), "epochs": 12}),
        (mlp, table(), EQUAL, {"stop": ValidationPeak(1), "epochs": 6}),
        (convolutions, images(), EQUAL, {"optimiser": torch.optim.Adam}),
        (lambda: nn.Sequential(convolutions()[0:4], nn.Dropout(0.3), nn.Linear(144, 3)), images(), EQUAL, {}),
    ],
    ids=["unequal", "dropout", "some_stop", "validation", "convolutions", "dropout_under_vmap"],
)
def test_stacks(network, records, counts, options):
    """Dropout too: a stack draws it on the processor, whatever the device."""
    it, member = in_double(network, **options), membership(*counts)
    validation = table(seed=9) if isinstance(it.stop, ValidationPeak) else None
    here, there = (
        train_stack(it, records, member, seeds=range(3), device=name, validation=validation) for name in ("cpu", "cuda")
    )
    for a, b in zip(here, there, strict=True):
        assert isinstance(a, Model), a
        assert isinstance(b, Model), b
        assert is_on_cuda(b)
        assert a.epoch == b.epoch
        assert apart(a, b) < OF_DOUBLE


def test_bfloat16_learns_as_single_precision_does():
    from vestige.training.plain import train

    it = recipe(convolutions, bfloat16=True, epochs=2)
    low, full = (train(it, images(), seed=0, device="cuda", low_precision=low) for low in (True, False))
    assert low.history["loss"] == pytest.approx(full.history["loss"], rel=0.05)


# -------------------------------------------------------------------------------------- asking


def _both(module: nn.Module, n_classes: int) -> tuple[TorchTarget, TorchTarget]:
    return TorchTarget(module, n_classes), TorchTarget(copy.deepcopy(module).cuda(), n_classes)


CASES = [
    (lambda: mlp(), table(300).inputs, OF_SINGLE),
    (lambda: smallnet(3), np.random.default_rng(0).normal(size=(80, 3, 32, 32)).astype(np.float32), OF_TF32),
]


@pytest.mark.parametrize(("make", "inputs", "tolerance"), CASES, ids=["table", "images"])
def test_answers(make, inputs, tolerance):
    torch.manual_seed(0)
    here, there = (target.answers(inputs).whole() for target in _both(make().eval(), 3))
    np.testing.assert_allclose(there, here, rtol=0, atol=tolerance * np.abs(here).max())


@pytest.mark.parametrize(("make", "inputs"), [case[:2] for case in CASES], ids=["table", "images"])
def test_gradient_norms(make, inputs):
    torch.manual_seed(0)
    y, module = np.arange(len(inputs)) % 3, make().eval()
    here, there = (target.gradient_norms(inputs, y) for target in _both(module, 3))
    np.testing.assert_allclose(there, here, rtol=1e-3)
    module.cuda()
    with _for_gradients(module):
        way = squared_norms_for(module, torch.from_numpy(inputs[:2]).cuda())
    assert way.func is squared_norms_by_layer  # rounding on the device does not hide that the fast way is right


def test_gradients_of_the_last_layer():
    torch.manual_seed(0)
    x, y = table(300).inputs, np.arange(300) % 3
    here, there = (np.concatenate(list(t.last_layer_gradients(x, y))) for t in _both(mlp().eval(), 3))
    np.testing.assert_allclose(there, here, atol=OF_SINGLE)


class _Labels:
    """What answers with labels alone."""

    n_classes = 3

    def __init__(self, target: TorchTarget) -> None:
        self.target = target

    def labels(self, inputs, records):
        return self.target.answers(inputs).whole().argmax(axis=1)


def test_labels_of_noisy_copies():
    """The copies are the same; a label may differ where two logits are equal to rounding: in 1 of 1,000."""
    torch.manual_seed(0)
    records = table(200)
    here, there = (
        noise_labels(
            _Labels(target), records.inputs, records.labels, np.arange(200), InputSpace(), NoiseStrength(0.1), 20, 0
        )
        for target in _both(mlp().eval(), 3)
    )
    assert np.mean(here != there) <= 1e-3


def test_an_audit_with_shadow_models(tmp_path, monkeypatch):
    """Scores move by rounding alone, so that an AUC moves by less than .01."""
    rng = np.random.default_rng(0)
    both = [Records(rng.normal(size=(100, 6)).astype(np.float32), rng.integers(0, 3, 100)) for _ in range(2)]
    it = recipe(mlp, epochs=30)
    target = it.fit(both[0], seed=77, device="cpu").classifier

    attacks = ["loss", "lira_online", "gradient_norm"]

    def aucs(module, name):
        training = ShadowTraining(it, n_models=8, bank=tmp_path / name)
        asked = Querying(access="gradients")
        result = audit(module, *both, adversary=training, attacks=attacks, querying=asked)
        return [row(result, attack=name, metric="auc", group="all").value for name in attacks]

    there = aucs(copy.deepcopy(target).cuda(), "cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert there == pytest.approx(aucs(target, "cpu"), abs=0.01)
