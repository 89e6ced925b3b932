"""Where a hook acts, and that one that does nothing changes no bit."""

import functools

import numpy as np
import pytest
import torch
from tests.training.networks import (
    distance,
    in_double,
    linear,
    mlp,
    noisy,
    recipe,
    same_bits,
    sgd,
    table,
)
from torch import nn

from vestige.core.recipe import Hook
from vestige.core.records import Records


class Nothing(Hook):
    """Overrides nothing."""


def test_a_hook_that_does_nothing_changes_no_bit():
    it = recipe(functools.partial(mlp, nn.Dropout), augment=noisy)
    assert same_bits(it.fit(table(), seed=3), it.fit(table(), seed=3, hooks=[Nothing(), Nothing()]))


def test_labels_are_flipped_in_the_batch():
    class Flip(Hook):
        def on_batch(self, inputs, labels, generator):
            return inputs, 2 - labels

    records = table()
    flipped = Records(records.inputs, 2 - records.labels)
    assert same_bits(recipe(mlp).fit(records, seed=3, hooks=[Flip()]), recipe(mlp).fit(flipped, seed=3))


def test_a_batch_is_changed_after_preprocessing_from_the_stream_of_augmentation():
    class Noise(Hook):
        def on_batch(self, inputs, labels, generator):
            assert inputs.dtype == torch.float64
            return noisy(inputs, generator), labels

    a = in_double(mlp).fit(table(), seed=3, hooks=[Noise()])
    assert same_bits(a, in_double(mlp, augment=noisy).fit(table(), seed=3))


def test_the_loss_is_scaled_before_the_mean():
    class Double(Hook):
        def on_loss(self, losses, outputs, labels, module):
            assert losses.shape == labels.shape
            assert isinstance(module, nn.Sequential)
            return 2 * losses

    a = recipe(mlp, optimiser=sgd(lr=0.1)).fit(table(), seed=3, hooks=[Double()])
    b = recipe(mlp, optimiser=sgd(lr=0.2)).fit(table(), seed=3)
    assert distance(a, b) < 1e-6
    assert a.history["loss"] == pytest.approx([2 * loss for loss in b.history["loss"]], rel=1e-5)


def test_gradients_are_changed_before_the_step():
    class Zero(Hook):
        def __init__(self):
            self.seen = []

        def on_gradient(self, module, n_records):
            self.seen.append(n_records)
            for weight in module.parameters():
                weight.grad.zero_()

    hook = Zero()
    model = recipe(mlp, epochs=2, batch_size=20).fit(table(), seed=3, hooks=[hook])
    assert same_bits(model, recipe(mlp, epochs=1, optimiser=sgd(lr=0.0)).fit(table(), seed=3))
    assert hook.seen == [20, 20, 8] * 2


def test_outputs_are_changed_before_the_loss():
    class Constant(Hook):
        def on_output(self, outputs, labels):
            return 0 * outputs

    model = recipe(mlp, epochs=2).fit(table(), seed=3, hooks=[Constant()])
    assert model.history["loss"] == pytest.approx([np.log(3)] * 2)
    assert same_bits(model, recipe(mlp, epochs=2, optimiser=sgd(lr=0.0)).fit(table(), seed=3))


def test_hooks_act_in_their_order():
    said = []

    class Say(Hook):
        def __init__(self, name):
            self.name = name

        def on_batch(self, inputs, labels, generator):
            said.append(f"batch {self.name}")
            return inputs, labels

        def on_output(self, outputs, labels):
            said.append(f"output {self.name}")
            return outputs

        def on_loss(self, losses, outputs, labels, module):
            said.append(f"loss {self.name}")
            return losses

        def on_gradient(self, module, n_records):
            said.append(f"gradient {self.name}")

    recipe(linear, epochs=1, batch_size=48).fit(table(), seed=0, hooks=[Say("a"), Say("b")])
    assert said == [f"{at} {who}" for at in ("batch", "output", "loss", "gradient") for who in "ab"]
