"""A module from a file answers with what it was said to, and what it was not said to answer with is refused."""

import numpy as np
import pytest
import torch
from tests.targets.model_files import X, Y, perceptron, table_of
from torch import nn

from vestige.core.errors import TargetError
from vestige.core.outputs import Logits, PredictedLabels, Probabilities
from vestige.core.targets import GradientModel
from vestige.targets.answer_format import AnswerFormat
from vestige.targets.objects.module_answers import module_target
from vestige.targets.objects.torch_module import TorchTarget


class Labels(nn.Module):
    def forward(self, inputs):
        return inputs.argmax(dim=1)


class Failing(nn.Module):
    def forward(self, inputs):
        raise RuntimeError("mat1 and mat2\ncannot be multiplied")


class Pair(nn.Module):
    def forward(self, inputs):
        return inputs, inputs


@pytest.mark.parametrize("answers", [None, AnswerFormat(Logits)])
def test_logits_come_with_gradients(answers):
    target = module_target(perceptron(), answers, 3, None)
    assert isinstance(target, TorchTarget)
    assert isinstance(target, GradientModel)
    plain = TorchTarget(perceptron(), 3)
    np.testing.assert_array_equal(table_of(target.answers(X)), table_of(plain.answers(X)))
    np.testing.assert_array_equal(target.gradient_norms(X[:4], Y[:4]), plain.gradient_norms(X[:4], Y[:4]))


def test_declared_probabilities_come_without_gradients():
    module = nn.Sequential(perceptron(), nn.Softmax(dim=1))
    target = module_target(module, AnswerFormat(Probabilities), 3, None)
    assert not isinstance(target, GradientModel)
    found = target.answers(X)
    assert isinstance(found, Probabilities)
    expected = torch.softmax(perceptron()(torch.from_numpy(X)), dim=1).detach().numpy()
    np.testing.assert_allclose(table_of(found), expected, atol=1e-6)


def test_probabilities_are_no_logits():
    module = nn.Sequential(perceptron(), nn.Softmax(dim=1))
    with pytest.raises(
        TargetError, match=r"Expected logits, found probabilities.*declare the answers as probabilities"
    ):
        module_target(module, None, 3, None).answers(X)


def test_declared_columns_are_put_in_the_order_of_the_classes():
    target = module_target(perceptron(), AnswerFormat(Logits, ("c", "a", "b")), 3, ("a", "b", "c"))
    plain = table_of(TorchTarget(perceptron(), 3).answers(X))
    np.testing.assert_array_equal(table_of(target.answers(X)), plain[:, [1, 2, 0]])


def test_declared_labels():
    target = module_target(Labels(), AnswerFormat(PredictedLabels), 3, None)
    found = target.answers(X)
    assert isinstance(found, PredictedLabels)
    np.testing.assert_array_equal(table_of(found), X.argmax(axis=1))


def test_no_records_have_no_answers():
    target = module_target(perceptron(), AnswerFormat(Probabilities), 3, None)
    assert target.answers(X[:0]).table.shape == (0, 3)


@pytest.mark.parametrize("answers", [None, AnswerFormat(Probabilities)])
def test_a_module_that_fails_is_said_in_one_line(answers):
    with pytest.raises(TargetError, match="it failed: RuntimeError: mat1 and mat2 cannot be multiplied; give records"):
        module_target(Failing(), answers, 3, None).answers(X)


@pytest.mark.parametrize("answers", [None, AnswerFormat(Probabilities)])
def test_several_outputs_are_refused(answers):
    with pytest.raises(TargetError, match="as one tensor, found tuple"):
        module_target(Pair(), answers, 3, None).answers(X)


def test_other_classes_than_the_records_are_refused():
    with pytest.raises(TargetError, match=r"found \(60, 3\); give the model as many outputs"):
        module_target(perceptron(), None, 4, None).answers(X)


def test_one_number_of_one_record_may_have_lost_its_axes():
    class Squeezed(nn.Module):
        def forward(self, inputs):
            return inputs[:, :1].sigmoid().squeeze()

    target = module_target(Squeezed(), AnswerFormat(Probabilities), 2, None)
    many = np.resize(X, (513, X.shape[1]))  # the last block is of one record
    expected = 1 / (1 + np.exp(-many[:, 0].astype(np.float64)))
    np.testing.assert_allclose(table_of(target.answers(many))[:, 1], expected, atol=1e-6)
    np.testing.assert_allclose(table_of(target.answers(many[:1]))[:, 1], expected[:1], atol=1e-6)
