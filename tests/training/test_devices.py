"""Which device models are trained on, told by devices that torch pretends to have: no test here needs a card."""

import pytest
import torch
from tests.training.networks import UNEQUAL, membership, mlp, recipe, table
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from vestige.targets.objects import torch_module
from vestige.training import strategies
from vestige.training.classifier import device_of, tensors_of
from vestige.training.executors.processes import Processes
from vestige.training.stacked import Stack, _started
from vestige.training.stacked import taken as rows_taken


@pytest.fixture
def pretended(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with FakeTensorMode():
        yield


def test_models_are_trained_on_a_card_if_there_is_one(pretended):
    assert device_of(None) == "cuda"
    assert device_of("cpu") == "cpu"


def test_models_are_trained_on_the_processor_otherwise():
    assert device_of(None) == "cpu"


def test_a_stack_has_the_numbers_of_its_rows_beside_its_records(monkeypatch):
    """A card refuses rows by numbers that lie elsewhere; the processor would not notice."""
    with FakeTensorMode(), pytest.raises(RuntimeError, match="same device"):
        rows_taken(torch.empty(4, 3, device="cuda"), torch.zeros((2, 2), dtype=torch.int64))
    it, member, records = recipe(mlp), membership(*UNEQUAL), table()
    stack = Stack.of(it, [_started(it, i, i, row, (), "cpu") for i, row in enumerate(member)])
    stack.weights, stack.buffers = {}, {}
    seen = []

    def step(data, there, weighed, n_classes):
        assert weighed.sum(dim=1).tolist() == there.tolist()
        inputs, labels, _ = data
        seen.append((inputs.device.type, labels.device.type, tuple(inputs.shape)))
        return torch.zeros(len(there), dtype=torch.float64)

    def taken(pool, rows):
        assert pool.device == rows.device
        return rows_taken(pool, rows)

    monkeypatch.setattr(stack, "_step", step)
    monkeypatch.setattr("vestige.training.stacked.taken", taken)
    stack.epoch((*tensors_of(records, "meta"), None), records.n_classes)
    assert seen == [("meta", "meta", (3, n, 6)) for n in (8, 8, 7)]


def test_a_card_is_asked_whether_it_has_bfloat16(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for has_it in (True, False):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, says=has_it: says)
        assert strategies.has_bfloat16() is has_it


def test_one_process_trains_on_a_card_and_in_larger_stacks(monkeypatch):
    """Every process would hold a context of its own on the card."""
    member = membership(*[20] * 300)
    monkeypatch.setattr("vestige.training.classifier.device_of", lambda device: "cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    tried = []

    def timed(probe, candidates):
        tried.extend(candidates)
        return [strategies.Measured(strategy, 1e3) for strategy in candidates]  # worth any number of processes

    monkeypatch.setattr(strategies, "_timed", timed)
    found = strategies.measure_torch(recipe(mlp), table(), member, Processes)
    assert {m.strategy.n_processes for m in found} == {1}
    assert {s.stack for s in tried} == {1, 4, 8, 16, 32, 64, 128, 256}


def test_norms_of_gradients_are_taken_in_full_single_precision_on_a_card():
    cudnn = torch.backends.cudnn
    with FakeTensorMode():
        module = nn.Module()
        module.weight = nn.Parameter(torch.empty(2, device="cuda"))
    before = cudnn.allow_tf32
    try:
        cudnn.allow_tf32 = True
        with torch_module._full_precision(module):
            assert not cudnn.allow_tf32
        assert cudnn.allow_tf32
        with torch_module._full_precision(nn.Linear(2, 2)):
            assert cudnn.allow_tf32
    finally:
        cudnn.allow_tf32 = before
