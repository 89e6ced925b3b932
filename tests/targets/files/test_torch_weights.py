"""Weights go into the module that a factory makes; what is no weights is refused, and nothing of it runs."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tests.targets.model_files import X, perceptron, planted_checkpoint, planted_pickle, table_of
from torch import nn

from vestige.core.errors import InputError, UnsupportedModelError
from vestige.targets.files.model_file import ModelFile
from vestige.targets.files.torch_files import open_weights
from vestige.targets.objects.torch_module import TorchTarget


def other() -> nn.Module:
    return nn.Linear(3, 3)


def untrained() -> nn.Module:
    torch.manual_seed(99)
    return nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))


def saved(tmp_path, suffix):
    path = tmp_path / f"m{suffix}"
    save = save_file if suffix == ".safetensors" else torch.save
    save(perceptron().state_dict(), path)
    return path


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth"])
def test_the_module_answers_with_its_weights_in_evaluation_mode(tmp_path, suffix):
    target = open_weights(saved(tmp_path, suffix), untrained, None, 3, None)
    assert isinstance(target, TorchTarget)
    assert not target.module.training
    expected = table_of(TorchTarget(perceptron(), 3).answers(X))
    np.testing.assert_array_equal(table_of(target.answers(X)), expected)
    assert np.abs(table_of(TorchTarget(untrained().eval(), 3).answers(X)) - expected).max() > 0.01


def test_weights_without_a_factory_are_refused(tmp_path):
    with pytest.raises(
        InputError,
        match=r"a factory.*beside the weights in m.pt, found none; name it in .target. of AUDIT.toml .factory = ",
    ):
        open_weights(saved(tmp_path, ".pt"), None, None, 3, None)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_weights_of_another_module_are_refused(tmp_path, suffix):
    with pytest.raises(InputError, match=r"the weights of Linear in m.*found others: .*let the factory make") as caught:
        open_weights(saved(tmp_path, suffix), other, None, 3, None)
    assert "\n" not in str(caught.value)


def test_a_factory_that_fails_or_makes_no_module_is_named(tmp_path):
    path = saved(tmp_path, ".pt")
    with pytest.raises(InputError, match="found that it failed: division by zero; it is called without arguments"):
        open_weights(path, lambda: 1 / 0, None, 3, None)
    with pytest.raises(InputError, match="from the factory, found dict"):
        open_weights(path, dict, None, 3, None)


@pytest.mark.parametrize("prefix", ["", "module.", "_module.", "_orig_mod.module.", "model.", "net.body."])
@pytest.mark.parametrize("inside", [None, "state_dict", "model_state_dict"])
def test_weights_in_wrappers_and_checkpoints_answer_alike(tmp_path, prefix, inside):
    weights = {prefix + name: value for name, value in perceptron().state_dict().items()}
    optimiser = torch.optim.Adam(perceptron().parameters()).state_dict()
    torch.save(weights if inside is None else {inside: weights, "epoch": 3, "optimizer": optimiser}, tmp_path / "m.pt")
    target = open_weights(tmp_path / "m.pt", untrained, None, 3, None)
    np.testing.assert_array_equal(table_of(target.answers(X)), table_of(TorchTarget(perceptron(), 3).answers(X)))


@pytest.mark.parametrize("suffix", [".pkl", ".pickle"])
def test_weights_under_the_name_of_a_pickle_are_read_without_trust(tmp_path, suffix):
    path = saved(tmp_path, suffix)
    target = ModelFile(path, factory=untrained).open_model(3)
    np.testing.assert_array_equal(table_of(target.answers(X)), table_of(TorchTarget(perceptron(), 3).answers(X)))
    with pytest.raises(InputError, match="a factory"):
        ModelFile(path, trust_pickle=True).open_model(3)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([torch.ones(2)], "found list; save module.state_dict"),
        ({"epoch": 3, "model": {"w": 1.0}}, "found epoch, model, no tensors; save module.state_dict"),
        (
            {"ema": {"w": torch.ones(1)}, "model": {"w": torch.ones(1)}},
            "one state dict in m.pt, found ema, model; save",
        ),
        ({}, "found nothing"),
    ],
)
def test_a_checkpoint_that_is_more_than_weights_is_refused(tmp_path, content, said):
    torch.save(content, tmp_path / "m.pt")
    with pytest.raises(InputError, match=said):
        open_weights(tmp_path / "m.pt", other, None, 3, None)


def test_a_whole_module_is_refused(tmp_path):
    torch.save(other(), tmp_path / "m.pt")
    with pytest.raises(
        UnsupportedModelError, match=r"found a pickle with torch.nn.modules.linear.Linear, which can run"
    ):
        open_weights(tmp_path / "m.pt", other, None, 3, None)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
@pytest.mark.parametrize("plant", [planted_pickle, planted_checkpoint])
def test_a_planted_pickle_is_named_and_does_not_run(tmp_path, suffix, plant):
    here = tmp_path / "ran"
    path = plant(tmp_path / f"m{suffix}", here)
    with pytest.raises(UnsupportedModelError, match=r"found a pickle .*which can run any code when it is loaded"):
        open_weights(path, other, None, 3, None)
    assert not here.exists()


def test_the_planted_pickle_is_a_real_one(tmp_path):
    torch.load(planted_checkpoint(tmp_path / "m.pt", tmp_path / "ran"), weights_only=False)
    assert (tmp_path / "ran").exists()
