"""A torch module answers in full batches, in the mode it is in, and is left as it was, as are the records."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from vestige.core.errors import InputError, TargetError, UnsupportedModelError
from vestige.core.outputs import Logits
from vestige.core.targets import GradientTarget
from vestige.papers.networks.convolutional import smallnet
from vestige.targets.objects import torch_module
from vestige.targets.objects.torch_module import TorchTarget

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 6)).astype(np.float32)
Y = RNG.integers(3, size=40)


def mlp(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))


def answers(module, inputs=X, n_classes=3) -> np.ndarray:
    found = TorchTarget(module, n_classes).answers(inputs)
    assert isinstance(found, Logits)
    return np.concatenate([np.empty((0, n_classes), np.float32), *found.table.blocks(1 << 20)])


def plain(module, inputs=X):
    with torch.no_grad():
        return module(torch.from_numpy(inputs)).numpy()


def test_it_is_a_target_with_gradients():
    assert isinstance(TorchTarget(mlp(), 3), GradientTarget)


def test_answers_are_the_module_s_own():
    np.testing.assert_allclose(answers(mlp()), plain(mlp()), rtol=1e-6)


@pytest.mark.parametrize("size", [1, 7, 39, 40, 41])
@pytest.mark.parametrize("make", [mlp, lambda: nn.Sequential(mlp(), nn.BatchNorm1d(3)).eval()])
def test_answers_do_not_depend_on_the_size_of_batches(monkeypatch, size, make):
    torch.manual_seed(0)
    module = make()
    whole = answers(module)
    monkeypatch.setattr(torch_module, "_BATCH", (size, size))
    np.testing.assert_allclose(answers(module), whole, rtol=1e-5, atol=1e-6)


def test_a_module_in_training_mode_answers_so_and_keeps_its_buffers():
    module = nn.Sequential(nn.BatchNorm1d(6), mlp())
    module[1].eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    expected = plain(module[1], (X - X.mean(axis=0)) / np.sqrt(X.var(axis=0) + 1e-5))
    np.testing.assert_allclose(answers(module), expected, rtol=1e-4, atol=1e-5)
    TorchTarget(module, 3).gradient_norms(X, Y)
    assert module[0].training
    assert not module[1].training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_gradient_norms_are_those_of_evaluation_mode():
    module = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(6), mlp())
    module(torch.from_numpy(X))  # gives the running means something to say
    first = TorchTarget(module.train(), 3).gradient_norms(X, Y)
    np.testing.assert_array_equal(TorchTarget(module.eval(), 3).gradient_norms(X, Y), first)


@pytest.mark.parametrize("asked", ["answers", "gradient_norms"])
def test_a_module_that_works_in_place_leaves_the_records_alone(asked):
    module = nn.Sequential(nn.ReLU(inplace=True), mlp())
    given = X.copy()
    target = TorchTarget(module, 3)
    first = target.answers(given).table.blocks(64) if asked == "answers" else [target.gradient_norms(given, Y)]
    np.testing.assert_array_equal(given, X)
    expected = nn.Sequential(nn.ReLU(), mlp())
    again = [answers(expected)] if asked == "answers" else [TorchTarget(expected, 3).gradient_norms(X, Y)]
    np.testing.assert_array_equal(np.concatenate(list(first)), again[0])


@pytest.mark.parametrize("error", [None, RuntimeError("the user's own")])
def test_modes_and_hooks_are_put_back_after_an_error(error):
    class Failing(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(6, 3)

        def forward(self, inputs):
            if error is not None and not self.training:
                raise error
            return self.layer(inputs)

    module = Failing().train()
    if error is None:
        TorchTarget(module, 3).gradient_norms(X, Y)
    else:
        with pytest.raises(RuntimeError, match="the user's own"):
            TorchTarget(module, 3).gradient_norms(X, Y)
    assert module.training
    assert not module.layer._forward_hooks


@pytest.mark.parametrize(
    "dtype", [np.float64, np.float16, ">f4", np.longdouble, np.int64, np.int8, np.uint8, np.uint16, np.uint32, bool]
)
def test_numbers_of_every_type(dtype):
    class AsFloat(nn.Module):
        def forward(self, inputs):
            return inputs.float() @ torch.eye(6)[:, :3]

    numbers = np.abs(X * 10).astype(dtype)
    np.testing.assert_allclose(answers(AsFloat(), numbers), numbers[:, :3].astype(np.float32), rtol=1e-6)


def test_arrays_that_lie_otherwise_in_memory():
    reversed_ = np.ascontiguousarray(X[::-1])[::-1]
    frozen = X.copy()
    frozen.flags.writeable = False
    for inputs in (reversed_, np.asfortranarray(X), frozen):
        np.testing.assert_array_equal(answers(mlp(), inputs), answers(mlp(), X))


def test_no_records_have_no_answers():
    assert answers(mlp(), X[:0]).shape == (0, 3)
    assert TorchTarget(mlp(), 3).gradient_norms(X[:0], Y[:0]).shape == (0,)
    assert answers(smallnet(), np.empty((0, 3, 8, 8), np.float32), 10).shape == (0, 10)


class Wide(nn.Module):
    """Outputs of another shape for some batches."""

    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, inputs):
        return self.scale * torch.zeros(self.shape(len(inputs)))


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        (lambda n: (n, 2), r"logits of shape \(40, 3\).* found \(40, 2\); give the model as many outputs"),
        (lambda n: (n,), r"found \(40,\)"),
        (lambda n: (n, 3, 1), r"found \(40, 3, 1\)"),
        (lambda n: (1, 3), r"found \(1, 3\)"),
    ],
)
def test_a_wrong_width_is_refused(shape, said):
    with pytest.raises(TargetError, match=said):
        answers(Wide(shape))


def test_a_wrong_width_is_refused_with_gradients_too():
    with pytest.raises(TargetError, match=r"logits of shape \(1, 3\).* found \(1, 2\)"):
        TorchTarget(Wide(lambda n: (n, 2)), 3).gradient_norms(X, Y)


def test_several_outputs_are_refused():
    class Two(nn.Module):
        def forward(self, inputs):
            return inputs, inputs

    with pytest.raises(TargetError, match=r"logits as one tensor, found tuple of shapes .*; let the module return its"):
        answers(Two())
    with pytest.raises(TargetError, match="logits as one tensor, found tuple"):
        TorchTarget(Two(), 3).gradient_norms(X, Y)


def test_nan_is_refused_with_its_record(monkeypatch):
    monkeypatch.setattr(torch_module, "_BATCH", (16, 16))
    bad = X.copy()
    bad[20] = np.nan
    with pytest.raises(TargetError, match="finite logits, found NaN or infinity, first for record 21"):
        answers(mlp(), bad)
    with pytest.raises(TargetError, match="finite gradient norms, found NaN or infinity, first for record 21"):
        TorchTarget(mlp(), 3).gradient_norms(bad, Y)


@pytest.mark.parametrize(
    ("inputs", "found"),
    [
        (pd.DataFrame(X).assign(sex="f"), "a DataFrame with text or categories in sex; declare"),
        (np.array([["a"] * 6] * 40), "<U1"),
        (X.astype(complex), "complex128"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(inputs, found):
    with pytest.raises(InputError, match=f"array of numbers for a torch module, found {found}"):
        answers(mlp(), inputs)


def test_a_table_of_numbers_is_an_array():
    table = pd.DataFrame(X).astype({1: np.float64})
    np.testing.assert_array_equal(answers(mlp(), table), answers(mlp()))
    np.testing.assert_array_equal(
        TorchTarget(mlp(), 3).gradient_norms(table, Y), TorchTarget(mlp(), 3).gradient_norms(X, Y)
    )
    mixed = pd.DataFrame(np.rint(X)).astype({0: int, 1: bool})
    np.testing.assert_array_equal(answers(mlp(), mixed), answers(mlp(), mixed.to_numpy(np.float32)))


@pytest.mark.parametrize("precision", [torch.float64, torch.float16, torch.bfloat16])
def test_fractions_are_given_in_the_precision_of_the_parameters(precision):
    module = mlp().to(precision)
    with torch.no_grad():
        expected = module(torch.from_numpy(X.astype(np.float64)).to(precision)).float().numpy()
    for inputs in (X, X.astype(np.float64)):
        np.testing.assert_array_equal(answers(module, inputs), expected)
    loose = TorchTarget(module, 3).gradient_norms(X, Y)
    np.testing.assert_allclose(loose, TorchTarget(mlp(), 3).gradient_norms(X, Y), rtol=0.1)
    np.testing.assert_array_equal(answers(mlp(), X.astype(np.float16)), answers(mlp(), X.astype(np.float16) * 1.0))


def test_probabilities_are_no_logits():
    with pytest.raises(TargetError, match=r"found probabilities.*a softmax would be applied twice"):
        answers(nn.Sequential(mlp(), nn.Softmax(dim=1)))


# ------------------------------------------------------------------------------ one logit for two classes


def one_logit(*last: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1), *last)


def two_logits() -> nn.Sequential:
    """The same, the logit of the first class being 0."""
    weights = one_logit().state_dict()
    last = {name: torch.cat([torch.zeros_like(weights[name]), weights[name]]) for name in ("2.weight", "2.bias")}
    module = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2))
    module.load_state_dict({**weights, **last})
    return module


class Squeezed(nn.Module):
    """One number per record, and of a single record one without any axis."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs.squeeze()


@pytest.mark.parametrize("last", [[], [nn.Flatten(0)], [Squeezed()]], ids=["column", "row", "squeezed"])
def test_one_logit_is_that_of_the_second_of_two_classes(last):
    np.testing.assert_allclose(answers(one_logit(*last), n_classes=2), plain(two_logits()), atol=1e-6)
    target = TorchTarget(one_logit(*last), 2)
    for row in range(3):
        np.testing.assert_allclose(target.answers(X[row : row + 1]).whole()[0], plain(two_logits())[row], atol=1e-6)
    with pytest.raises(TargetError, match=r"logits of shape \(40, 3\)"):
        answers(one_logit(*last), n_classes=3)


@pytest.mark.parametrize("last", [[], [nn.Flatten(0)], [Squeezed()]], ids=["column", "row", "squeezed"])
def test_the_gradient_of_one_logit_is_that_of_the_binary_cross_entropy(last):
    module, labels, expected = one_logit(*last), Y % 2, []
    for x, y in zip(torch.from_numpy(X), labels, strict=True):
        module.zero_grad()
        logit = module(x[None]).reshape(1)
        nn.functional.binary_cross_entropy_with_logits(logit, torch.tensor([float(y)])).backward()
        expected.append(float(torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None]).norm()))
    np.testing.assert_allclose(TorchTarget(module, 2).gradient_norms(X, labels), expected, rtol=1e-5)


@pytest.mark.parametrize("without", [torch.no_grad, torch.inference_mode])
def test_gradients_are_taken_though_the_user_has_switched_them_off(without):
    target = TorchTarget(two_logits(), 2)
    norms, [last] = target.gradient_norms(X, Y % 2), list(target.last_layer_gradients(X, Y % 2))
    with without():
        np.testing.assert_array_equal(target.gradient_norms(X, Y % 2), norms)
        np.testing.assert_array_equal(next(target.last_layer_gradients(X, Y % 2)), last)
        assert not torch.is_grad_enabled()
    assert norms.min() > 0


def test_a_sigmoid_is_no_logit():
    with pytest.raises(TargetError, match=r"found 40 numbers that are all in 0..1, as probabilities are"):
        answers(one_logit(nn.Sigmoid()), n_classes=2)


def test_probabilities_are_no_logits_though_a_single_record_was_asked_about_first():
    target = TorchTarget(nn.Sequential(nn.Linear(6, 3), nn.Softmax(dim=1)), 3)
    target.answers(X[:1])
    with pytest.raises(TargetError, match="Expected logits, found probabilities"):
        target.answers(X)


def test_small_logits_are_no_fault_once_the_records_have_been_asked():
    """As those of inputs near the boundary, which a search asks about."""
    target = TorchTarget(one_logit(), 2)
    target.answers(X)
    logits = target.answers(X).whole()[:, 1]
    near = X[np.flatnonzero((logits > 0) & (logits < 1))[:1]]
    assert target.answers(np.repeat(near, 40, axis=0)).n_records == 40


def test_a_module_whose_gradients_cannot_be_taken_is_said_in_one_line():
    """Its answers are fine; taking gradients is another matter."""
    with torch.inference_mode():
        module = mlp()
    assert answers(module).shape == (40, 3)
    with pytest.raises(TargetError, match=r"found that it failed: RuntimeError: .*[Ii]nference"):
        TorchTarget(module, 3).gradient_norms(X, Y)


def test_one_logit_has_no_gradients_of_a_layer_with_one_per_class():
    with pytest.raises(UnsupportedModelError, match=r"found one for two classes; leave white_box_gradient out"):
        list(TorchTarget(one_logit(), 2).last_layer_gradients(X, Y % 2))
