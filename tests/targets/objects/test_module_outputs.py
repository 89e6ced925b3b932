"""Torch modules that return more than their logits: the same answers and gradients as of the logits alone."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from vestige.core.errors import TargetError
from vestige.core.outputs import Probabilities
from vestige.targets.answer_format import AnswerFormat
from vestige.targets.objects.module_answers import DeclaredModule
from vestige.targets.objects.torch_module import TorchTarget

X = np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32)


class Wrapped(nn.Module):
    """A network of two layers that returns what `wrap` makes of its logits and hidden numbers."""

    def __init__(self, wrap, n_outputs=3):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last, self.wrap = nn.Linear(5, 8), nn.Linear(8, n_outputs), wrap

    def forward(self, x):
        hidden = self.first(x).relu()
        return self.wrap(self.last(hidden), hidden)


FORMS = {
    "tuple": lambda z, h: (z, h),
    "tuple with the logits last": lambda z, h: (h, None, z),
    "list": lambda z, h: [z, h],
    "dict": lambda z, h: {"logits": z, "loss": None},
    "object": lambda z, h: SimpleNamespace(logits=z, hidden=h),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_the_logits_are_taken_wherever_they_are(form, n_outputs):
    plain = TorchTarget(Wrapped(lambda z, h: z, n_outputs), max(2, n_outputs))
    wrapped = TorchTarget(Wrapped(FORMS[form], n_outputs), max(2, n_outputs))
    labels = np.arange(len(X)) % max(2, n_outputs)
    np.testing.assert_array_equal(wrapped.answers(X).whole(), plain.answers(X).whole())
    np.testing.assert_allclose(wrapped.gradient_norms(X, labels), plain.gradient_norms(X, labels), rtol=1e-5)
    np.testing.assert_array_equal(wrapped.last_layer_inputs(X), plain.last_layer_inputs(X))
    if n_outputs > 1:
        for found, expected in zip(
            wrapped.last_layer_gradients(X, labels), plain.last_layer_gradients(X, labels), strict=True
        ):
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
    assert wrapped.note.startswith(
        "Warning: of the module's outputs" if form in ("list",) or "tuple" in form else "The"
    )
    assert plain.note == ""


def test_the_last_layers_inputs_may_be_asked_for_first():
    wrapped, plain = TorchTarget(Wrapped(FORMS["tuple"]), 3), TorchTarget(Wrapped(lambda z, h: z), 3)
    np.testing.assert_array_equal(wrapped.last_layer_inputs(X), plain.last_layer_inputs(X))


def test_probabilities_are_taken_too():
    module = Wrapped(lambda z, h: (h, z.softmax(1)))
    read = DeclaredModule(module, AnswerFormat(Probabilities), 3)
    expected = TorchTarget(Wrapped(lambda z, h: z), 3).answers(X).whole()
    np.testing.assert_allclose(read.answers(X).whole(), torch.tensor(expected).softmax(1).numpy(), rtol=1e-6)
    assert "number 2 of 2 was read as its probabilities" in read.note


@pytest.mark.parametrize(
    ("wrap", "said"),
    [
        (
            lambda z, h: (z, z + 1),
            r"found tuple of shapes \(20, 3\), \(20, 3\); let the module return its logits alone",
        ),
        (lambda z, h: {"scores": z}, "found dict; let the module return its logits alone, or under the name logits"),
        (lambda z, h: (h, h), r"found tuple of shapes \(20, 8\)"),
        (lambda z, h: None, "found NoneType; let the module return its logits alone"),
    ],
)
def test_what_could_be_several_outputs_or_none_is_refused(wrap, said):
    with pytest.raises(TargetError, match=said):
        TorchTarget(Wrapped(wrap), 3).answers(X)
