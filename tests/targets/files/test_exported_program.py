"""An exported program answers as the module it was made of, whatever number of records it takes at once."""

import numpy as np
import pytest
import torch
from tests.targets.model_files import IMAGES, X, Y, convolution, export_program, perceptron, table_of
from torch import nn

from vestige.core.errors import InputError, TargetError
from vestige.core.outputs import Probabilities
from vestige.targets.answer_format import AnswerFormat
from vestige.targets.files.torch_files import open_program
from vestige.targets.objects.torch_module import TorchTarget

EXPECTED = table_of(TorchTarget(perceptron(), 3).answers(X))


@pytest.mark.parametrize(
    ("sizes", "least", "most"),
    [({}, 1, 512), ({"n_records": 7}, 7, 7), ({"n_records": 1}, 1, 1), ({"most": 16}, 1, 16)],
)
def test_logits_are_the_same_whatever_number_it_takes_at_once(tmp_path, sizes, least, most):
    target = open_program(export_program(perceptron(), tmp_path / "m.pt2", **sizes), True, None, 3, None)
    assert isinstance(target, TorchTarget)
    assert (target.module.least, target.module.most) == (least, most)
    np.testing.assert_allclose(table_of(target.answers(X)), EXPECTED, atol=1e-6)
    assert target.answers(X[:0]).table.shape == (0, 3)


@pytest.mark.parametrize("sizes", [{}, {"n_records": 7}])
def test_gradients_are_those_of_the_module(tmp_path, sizes):
    target = open_program(export_program(perceptron(), tmp_path / "m.pt2", **sizes), True, None, 3, None)
    expected = TorchTarget(perceptron(), 3).gradient_norms(X[:9], Y[:9])
    assert isinstance(target, TorchTarget)
    np.testing.assert_allclose(target.gradient_norms(X[:9], Y[:9]), expected, rtol=1e-4)


def test_images(tmp_path):
    target = open_program(export_program(convolution(), tmp_path / "m.pt2", IMAGES), True, None, 3, None)
    expected = table_of(TorchTarget(convolution(), 3).answers(IMAGES))
    np.testing.assert_allclose(table_of(target.answers(IMAGES)), expected, atol=1e-6)


class Attention(nn.Module):
    """Shapes that are computed, arguments that are text, constants and a view."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.last = nn.Linear(8, 3)
        self.scale = torch.tensor(2.0)

    def forward(self, images):
        found = self.layer(images[:, 0]) * self.scale
        found = torch.einsum("bij,bkj->bik", found, found).reshape(-1, 8).view(images.shape[0], 8, 8)
        return self.last(nn.functional.gelu(found, approximate="tanh").mean(1))


def test_a_program_of_many_operators_is_let_through(tmp_path):
    module = Attention().eval()
    target = open_program(export_program(module, tmp_path / "m.pt2", IMAGES), True, None, 3, None)
    expected = module(torch.from_numpy(IMAGES)).detach().numpy()
    np.testing.assert_allclose(table_of(target.answers(IMAGES)), expected, rtol=1e-4, atol=1e-5)


def test_a_program_that_ends_in_a_softmax(tmp_path):
    path = export_program(nn.Sequential(perceptron(), nn.Softmax(dim=1)), tmp_path / "m.pt2")
    found = open_program(path, True, AnswerFormat(Probabilities), 3, None).answers(X)
    assert isinstance(found, Probabilities)
    np.testing.assert_allclose(table_of(found), np.exp(EXPECTED) / np.exp(EXPECTED).sum(1, keepdims=True), atol=1e-6)
    with pytest.raises(TargetError, match="Expected logits, found probabilities"):
        open_program(path, True, None, 3, None).answers(X)


def test_records_are_cast_to_what_it_takes(tmp_path):
    target = open_program(export_program(perceptron(), tmp_path / "m.pt2"), True, None, 3, None)
    whole = np.arange(6, dtype=np.uint8).reshape(2, 3)
    expected = TorchTarget(perceptron(), 3).answers(whole.astype(np.float32))
    np.testing.assert_allclose(table_of(target.answers(whole)), table_of(expected), atol=1e-5)


def test_records_of_another_shape_are_refused(tmp_path):
    target = open_program(export_program(perceptron(), tmp_path / "m.pt2"), True, None, 3, None)
    with pytest.raises(TargetError, match=r"shape \(3\), which the program was exported for, found \(5,\)"):
        target.answers(np.ones((4, 5), dtype=np.float32))


def test_other_classes_are_refused(tmp_path):
    target = open_program(export_program(perceptron(), tmp_path / "m.pt2"), True, None, 4, None)
    with pytest.raises(TargetError, match=r"found \(60, 3\); give the model as many outputs as there are classes"):
        target.answers(X)


class Sum(nn.Module):
    def forward(self, left, right):
        return left + right


class Total(nn.Module):
    def forward(self, inputs):
        return inputs.sum(dim=0)


def test_a_program_of_two_arrays_is_refused(tmp_path):
    example = torch.ones(2, 3)
    torch.export.save(torch.export.export(Sum(), (example, example)), tmp_path / "m.pt2")
    with pytest.raises(InputError, match=r"of one array, records first, in m.pt2, found 2 inputs"):
        open_program(tmp_path / "m.pt2", True, None, 3, None)


def test_a_program_that_mixes_records_is_refused(tmp_path):
    target = open_program(export_program(Total(), tmp_path / "m.pt2", n_records=4), True, None, 3, None)
    with pytest.raises(TargetError, match=r"an answer per record for 4 records, found \(3,\)"):
        target.answers(X)
