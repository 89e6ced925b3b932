"""The plain loop against one written out by hand, bit for bit."""

import functools

import numpy as np
import pandas as pd
import pytest
import torch
from tests.training.networks import (
    as_double,
    distance,
    images,
    in_double,
    linear,
    membership,
    mlp,
    recipe,
    same_bits,
    sgd,
    table,
    tensors,
)
from torch import nn
from torch.nn import functional

from vestige.core.errors import InputError, TrainingError
from vestige.core.recipe import Hook, Model
from vestige.core.records import Records
from vestige.core.seeds import stream
from vestige.training.plain import train
from vestige.training.stopping import Epoch, LossPlateau, ValidationPeak
from vestige.training.torch_recipe import TorchRecipe, as_float


def seed_of(seed, purpose):
    return int(stream(seed, f"torch {purpose}").integers(2**62))


def by_hand(recipe, records, seed):
    """A training as anybody would write it: no hook, no rule, no device."""
    order, noise = torch.Generator(), torch.Generator()
    order.manual_seed(seed_of(seed, "order"))
    noise.manual_seed(seed_of(seed, "augment"))
    inputs, labels = torch.tensor(records.inputs), torch.tensor(records.labels)
    n, size = len(labels), recipe.batch_size
    with torch.random.fork_rng():
        torch.manual_seed(seed_of(seed, "weights"))
        network = recipe.network()
        optimiser = recipe.optimiser(network.parameters())
        rate = optimiser.param_groups[0]["lr"]
        history = []
        for epoch in range(recipe.epochs):
            network.train()
            permutation = torch.randperm(n, generator=order)
            sum_of_losses = 0.0
            n_steps = -(-n // size)
            for step in range(n_steps):
                rows = permutation[step * size : (step + 1) * size]
                x, y = recipe.preprocess(inputs[rows]), labels[rows]
                if recipe.augment is not None:
                    x = recipe.augment(x, noise)
                if recipe.schedule is not None:
                    optimiser.param_groups[0]["lr"] = rate * recipe.schedule((epoch + step / n_steps) / recipe.epochs)
                optimiser.zero_grad()
                loss = functional.cross_entropy(network(x), y, reduction="none").mean()
                loss.backward()
                optimiser.step()
                sum_of_losses += float(loss.detach()) * len(rows)
            history.append(sum_of_losses / n)
    return network, history


def noisy(inputs, generator):
    return inputs + 0.1 * torch.randn(inputs.shape, generator=generator)


def noisy_from_the_global_stream(inputs, generator):
    return inputs + 0.1 * torch.randn(inputs.shape)


def cosine(progress):
    return float(np.cos(7 * np.pi / 16 * progress))


def cnn():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout2d(0.3), nn.Flatten(), nn.Linear(64, 3)
    )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"optimiser": functools.partial(torch.optim.Adam, lr=1e-2)},
        {"optimiser": sgd(momentum=0.9, weight_decay=1e-3), "schedule": cosine},
        {"network": functools.partial(mlp, nn.Dropout)},
        {"network": functools.partial(mlp, nn.Dropout), "augment": noisy, "schedule": cosine, "batch_size": 7},
        {"network": functools.partial(mlp, nn.Dropout), "augment": noisy_from_the_global_stream},
        {"batch_size": 1000},
        {"batch_size": 47},  # the last batch is of 1
        {"network": functools.partial(mlp, functools.partial(nn.BatchNorm1d, 8))},
    ],
    ids=str,
)
def test_it_is_the_loop_anybody_would_write(options):
    it, records = recipe(**{"network": mlp, **options}), table()
    model = it.fit(records, seed=5)
    network, history = by_hand(it, records, 5)
    assert same_bits(model, network)
    assert model.history["loss"] == tuple(history)
    assert not model.classifier.training
    assert not any(weight.requires_grad for weight in model.classifier.parameters())


def test_images_of_bytes_are_the_loop_too():
    it = recipe(cnn, batch_size=10)
    network, _ = by_hand(it, images(), 5)
    model = it.fit(images(), seed=5)
    assert same_bits(model, network)
    x = torch.tensor(images().inputs)
    prepared = torch.stack([x[..., channel] for channel in range(3)], dim=1) / 255
    torch.testing.assert_close(model.classifier(x), network.eval()(prepared))  # not in the same order of memory


def test_one_step_by_closed_form():
    """A linear classifier from zero weights: the gradient is (softmax - one-hot) x inputs, the softmax 1/K."""

    def zero():
        network = nn.Linear(6, 3)
        nn.init.zeros_(network.weight)
        nn.init.zeros_(network.bias)
        return network

    records = table()
    model = in_double(zero, epochs=1, batch_size=48, optimiser=sgd(lr=0.5)).fit(records, seed=0)
    error = np.full((48, 3), 1 / 3) - np.eye(3)[records.labels]
    np.testing.assert_allclose(
        tensors(model)["weight"], -0.5 * error.T @ records.inputs.astype(float) / 48, rtol=1e-12, atol=1e-15
    )
    np.testing.assert_allclose(tensors(model)["bias"], -0.5 * error.mean(axis=0), rtol=1e-12, atol=1e-15)
    assert model.history["loss"] == (pytest.approx(np.log(3), rel=1e-12),)


# ------------------------------------------------------------------------------------------ seeds


def test_same_seed_same_bits_and_another_seed_another_model():
    it = recipe(functools.partial(mlp, nn.Dropout))
    torch.manual_seed(1)
    first = it.fit(table(), seed=3)
    torch.manual_seed(2)
    assert same_bits(first, it.fit(table(), seed=3))
    assert not same_bits(first, it.fit(table(), seed=4))


def test_each_purpose_has_a_stream_of_its_own():
    """A dropout layer at the end leaves the first weights and the order of the records as they were."""
    seen = []

    class See(Hook):
        def on_batch(self, inputs, labels, generator):
            seen.append(inputs.clone())
            return inputs, labels

    for network in (mlp, functools.partial(mlp, nn.Dropout)):
        recipe(network, epochs=1, optimiser=sgd(lr=0.0)).fit(table(), seed=3, hooks=[See()])
    assert all(map(torch.equal, seen[:6], seen[6:]))
    a, b = (recipe(n, optimiser=sgd(lr=0.0)).fit(table(), seed=3) for n in (mlp, functools.partial(mlp, nn.Dropout)))
    assert all(map(torch.equal, tensors(a).values(), tensors(b).values()))


def test_the_global_stream_is_left_as_it_was():
    torch.manual_seed(9)
    before = torch.get_rng_state()
    it = recipe(functools.partial(mlp, nn.Dropout), augment=noisy_from_the_global_stream, stop=ValidationPeak())
    it.fit(table(), seed=3, validation=table(seed=1), checkpoints=[1])
    with pytest.raises(TrainingError):
        recipe(lambda: nn.Linear(5, 3)).fit(table(), seed=3)
    assert torch.equal(torch.get_rng_state(), before)


def in_place(inputs):
    return inputs.mul_(2.0)


@pytest.mark.parametrize("preprocess", [as_float, in_place])
def test_records_are_not_changed(preprocess):
    """Not even where the network or the preprocessing works in place, or the labels are changed by a hook."""

    class Zero(Hook):
        def on_batch(self, inputs, labels, generator):
            return inputs.zero_(), labels.zero_()

    records, validation = table(), table(seed=1)
    inputs, labels = records.inputs.copy(), records.labels.copy()
    held_out = validation.inputs.copy()
    it = recipe(
        lambda: nn.Sequential(nn.ReLU(inplace=True), nn.Linear(6, 3)), preprocess=preprocess, stop=ValidationPeak()
    )
    it.fit(records, seed=0, validation=validation, hooks=[Zero()])
    np.testing.assert_array_equal(records.inputs, inputs)
    np.testing.assert_array_equal(records.labels, labels)
    np.testing.assert_array_equal(validation.inputs, held_out)


# ------------------------------------------------------------------------------------------ hooks


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


# ------------------------------------------------------------------------- checkpoints and starts


def test_a_checkpoint_is_what_fewer_epochs_give():
    network = functools.partial(mlp, nn.Dropout)
    model = recipe(network, epochs=5).fit(table(), seed=3, checkpoints=[4, 2, 2, 5])
    assert [m.epoch for m in (*model.checkpoints, model)] == [2, 4, 5]
    for checkpoint in model.checkpoints:
        shorter = recipe(network, epochs=checkpoint.epoch).fit(table(), seed=3)
        assert same_bits(checkpoint, shorter)
        assert checkpoint.history == shorter.history
        assert (checkpoint.seed, checkpoint.n_classes, checkpoint.checkpoints) == (3, 3, ())
        assert not checkpoint.classifier.training


def test_a_start_gives_the_weights():
    """The first epoch, if it moves nothing, has the loss of the model that was started from."""
    start = recipe(mlp).fit(table(), seed=3)
    other = table(seed=7)
    model = recipe(mlp, epochs=1, optimiser=sgd(lr=0.0)).fit(other, seed=4, start=start)
    assert same_bits(model, start)
    logits = start.classifier(torch.tensor(other.inputs))
    expected = functional.cross_entropy(logits, torch.tensor(other.labels))
    assert model.history["loss"][0] == pytest.approx(float(expected), rel=1e-6)


def test_a_start_is_not_changed_by_what_continues_it():
    start = recipe(mlp).fit(table(), seed=3)
    before = {name: tensor.clone() for name, tensor in tensors(start).items()}
    model = recipe(mlp).fit(table(seed=7), seed=4, start=start)
    assert all(torch.equal(before[name], tensor) for name, tensor in tensors(start).items())
    assert not same_bits(model, start)
    bare = Model(start.classifier.network, 3, seed=3)  # a user's own network, without our preprocessing around it
    assert same_bits(model, recipe(mlp).fit(table(seed=7), seed=4, start=bare))


def test_a_start_of_another_kind_is_refused():
    start = recipe(linear).fit(table(), seed=3)
    with pytest.raises(InputError, match=r"Expected to start from the recipe's own network, found another: .*Missing"):
        recipe(mlp).fit(table(), seed=3, start=start)
    with pytest.raises(InputError, match="Expected a torch network to start from, found list"):
        recipe(mlp).fit(table(), seed=3, start=Model([], 3, seed=0))


# ------------------------------------------------------------------------------------------ rules


def test_the_peak_of_the_validation_accuracy_is_kept():
    validation = table(n=30, seed=5)
    it = recipe(mlp, epochs=12, optimiser=sgd(lr=1.0), stop=ValidationPeak(patience=3))
    model = it.fit(table(), seed=3, validation=validation, checkpoints=range(1, 13))
    longer = recipe(mlp, epochs=12, optimiser=sgd(lr=1.0)).fit(table(), seed=3, checkpoints=range(1, 13))
    x, y = torch.tensor(validation.inputs), torch.tensor(validation.labels)
    shares = [
        float((m.classifier(x).argmax(1) == y).double().mean()) for m in (*longer.checkpoints, longer)
    ]  # of every epoch
    seen = model.history["validation_accuracy"]
    assert seen == pytest.approx(shares[: len(seen)])
    assert model.epoch == 1 + int(np.argmax(seen)) < len(seen) == model.epoch + 3 < 12
    assert same_bits(model, longer.checkpoints[model.epoch - 1])
    assert len(model.history["loss"]) == len(seen)
    assert [m.epoch for m in model.checkpoints] == list(range(1, model.epoch))


def test_the_loss_on_a_plateau_ends_training_with_the_last_weights():
    it = recipe(mlp, epochs=50, optimiser=sgd(lr=1e-4), stop=LossPlateau(0.01, patience=4))
    model = it.fit(table(), seed=3)
    assert model.epoch == 5 == len(model.history["loss"])
    assert same_bits(model, recipe(mlp, epochs=5, optimiser=sgd(lr=1e-4)).fit(table(), seed=3))
    assert "validation_accuracy" not in model.history


def test_a_rule_of_ones_own_may_go_back_to_an_earlier_epoch():
    class Second:
        needs_validation = False

        def stops(self, epochs: list[Epoch]) -> bool:
            return len(epochs) == 4

        def best(self, epochs: list[Epoch]) -> int:
            return min(2, len(epochs))

    model = recipe(mlp, epochs=9, stop=Second()).fit(table(), seed=3)
    assert model.epoch == 2
    assert len(model.history["loss"]) == 4
    assert same_bits(model, recipe(mlp, epochs=2).fit(table(), seed=3))


# -------------------------------------------------------------------------------- inputs and types


def test_inputs_may_be_of_any_type_of_numbers():
    records = table()
    whole = np.round(records.inputs * 3)
    reference = recipe(mlp).fit(Records(whole.astype(np.float32), records.labels), seed=3)
    for dtype in ("f8", ">f4", ">f8", "f2", "i1", "i8", ">i2", "g"):
        assert same_bits(reference, recipe(mlp).fit(Records(whole.astype(dtype), records.labels), seed=3)), dtype
    unsigned = [recipe(mlp).fit(Records((whole + 20).astype(d), records.labels), seed=3) for d in ("u1", "u2", "u8")]
    assert all(same_bits(unsigned[0], model) for model in unsigned)
    backwards = Records(np.ascontiguousarray(whole[::-1], np.float32)[::-1], records.labels)
    assert same_bits(reference, recipe(mlp).fit(backwards, seed=3))


def test_inputs_that_may_not_be_written_are_read():
    records = table()
    records.inputs.flags.writeable = False
    assert same_bits(recipe(mlp).fit(records, seed=3), recipe(mlp).fit(table(), seed=3))


@pytest.mark.parametrize(
    "inputs", [pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]}), np.array([["a", "b"], ["c", "d"]])]
)
def test_inputs_of_text_are_refused(inputs):
    with pytest.raises(InputError, match=r"found a DataFrame or text; encode the columns as numbers first"):
        recipe(linear).fit(Records(inputs, [0, 1]), seed=0)


def test_bfloat16_is_close_to_float32():
    """With 8 bits of precision, weights of about 0.3 after 18 steps of 0.1 differ by less than a hundredth."""
    it = recipe(cnn)
    model, low = it.fit(images(), seed=3), train(it, images(), seed=3, low_precision=True)
    assert all(tensor.dtype != torch.bfloat16 for tensor in tensors(low).values())
    assert 0 < distance(model, low) < 0.05
    assert low.history["loss"] == pytest.approx(model.history["loss"], rel=0.02)


# --------------------------------------------------------------------------------- what goes wrong


def refused(error, call, *essentials):
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert not [e for e in essentials if e not in message], message


def test_another_width_than_classes():
    it = recipe(lambda: nn.Linear(6, 5))
    refused(
        TrainingError,
        lambda: it.fit(table(), seed=0),
        "Expected 3 logits per record, one per class, found outputs of shape (8, 5)",
        "as many outputs as there are classes",
    )


class Reshaped(nn.Module):
    """Takes two records for one."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(12, 3)

    def forward(self, inputs):
        return self.layer(inputs.reshape(-1, 12))


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, inputs):
        return self.layer(inputs), inputs


def test_outputs_that_are_no_logits():
    refused(TrainingError, lambda: recipe(Reshaped).fit(table(), seed=0), "outputs of shape (4, 3) for 8 records")
    refused(TrainingError, lambda: recipe(Pair).fit(table(), seed=0), "logits as one tensor, found tuple")


def test_a_loss_that_is_a_mean_already():
    it = recipe(mlp, loss=functional.cross_entropy)
    refused(
        TrainingError, lambda: it.fit(table(), seed=0), "a loss for each of 8 records, found shape ()", "no mean or sum"
    )


def test_weights_that_are_not_finite():
    it = recipe(mlp, optimiser=sgd(lr=1e30))
    refused(
        TrainingError,
        lambda: it.fit(table(), seed=0),
        "Expected finite weights, found NaN or infinity in 0.weight, 0.bias, 2.weight and 3 more after epoch 1",
        "lower the learning rate",
    )


class Masked(nn.Module):
    """Keeps infinities that are no fault, such as the mask of an attention, and counts in whole numbers."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3)
        self.register_buffer("mask", torch.full((3,), -torch.inf))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, inputs):
        self.calls += 1
        return self.layer(inputs) + self.mask.exp()


def test_a_buffer_may_hold_infinities_and_whole_numbers():
    model = recipe(Masked, epochs=2).fit(table(), seed=0)
    assert int(tensors(model)["calls"]) == 12
    assert same_bits(model.classifier.network.layer, recipe(linear, epochs=2).fit(table(), seed=0))


def test_a_buffer_that_is_no_number():
    class Lost(Masked):
        def forward(self, inputs):
            self.mask = self.mask * torch.nan
            return self.layer(inputs)

    refused(TrainingError, lambda: recipe(Lost).fit(table(), seed=0), "NaN or infinity in mask after epoch 1")


def failing(inputs, generator):
    raise ValueError("no such\naugmentation")


@pytest.mark.parametrize(
    ("it", "essentials"),
    [
        (recipe(lambda: nn.Linear(5, 3)), ("RuntimeError: mat1 and mat2 shapes cannot be multiplied",)),
        (recipe(mlp, augment=failing), ("ValueError: no such augmentation",)),
        (recipe(nn.Identity), ("ValueError: optimizer got an empty parameter list",)),
        (recipe(mlp, optimiser=torch.optim.LBFGS), ("TypeError", "closure")),
        (recipe(functools.partial(mlp, lambda: nn.BatchNorm1d(8)), batch_size=47), ("more than 1 value per channel",)),
    ],
)
def test_what_a_recipe_raises_is_told_in_one_line(it, essentials):
    refused(TrainingError, lambda: it.fit(table(), seed=0), "Expected the recipe to train, found ", *essentials)


def test_what_a_recipe_raises_is_kept_as_the_cause():
    with pytest.raises(TrainingError) as caught:
        recipe(mlp, augment=failing).fit(table(), seed=0)
    assert isinstance(caught.value.__cause__, ValueError)


def test_options_that_the_recipe_cannot_follow():
    for epochs in ([0], [2, 4]):
        refused(
            InputError,
            lambda epochs=epochs: recipe(mlp).fit(table(), seed=0, checkpoints=epochs),
            f"Expected checkpoints in 1..3, the recipe's epochs, found {epochs[-1]}",
        )
    refused(
        InputError,
        lambda: recipe(mlp, stop=ValidationPeak()).fit(table(), seed=0),
        "Expected validation records for ValidationPeak, found none; pass validation",
    )


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "xpu"])
def test_a_device_that_is_not_there(device):
    if device != "gpu" and torch.accelerator.is_available():
        pytest.skip("this machine may have it")
    refused(InputError, lambda: recipe(mlp).fit(table(), seed=0, device=device), "a device", f"found {device}")


def test_a_named_processor_is_the_default():
    assert same_bits(recipe(mlp).fit(table(), seed=0, device="cpu"), recipe(mlp).fit(table(), seed=0))


# ------------------------------------------------------------------------------- parts of a network


class Tied(nn.Module):
    """One weight in two places, a weight that nothing uses, and one that does not learn."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.last = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)
        self.second.weight = self.first.weight
        self.unused = nn.Parameter(torch.ones(3))
        self.last.bias.requires_grad_(False)

    def forward(self, inputs):
        return self.last(self.second(self.first(inputs).tanh()).tanh())


def test_weights_that_are_shared_unused_or_frozen():
    it = recipe(Tied, optimiser=sgd(weight_decay=0.1, momentum=0.5))
    network, _ = by_hand(it, table(), 5)
    model = it.fit(table(), seed=5)
    assert same_bits(model, network)
    trained = model.classifier.network
    assert trained.second.weight is trained.first.weight
    assert torch.equal(trained.unused, torch.ones(3))  # no gradient, hence no decay either
    untrained = recipe(Tied, optimiser=sgd(lr=0.0)).fit(table(), seed=5).classifier.network
    assert torch.equal(trained.last.bias, untrained.last.bias)
    assert not torch.equal(trained.last.weight, untrained.last.weight)


def test_every_record_is_used_once_per_epoch():
    seen = []

    class See(Hook):
        def on_batch(self, inputs, labels, generator):
            seen.extend(inputs[:, 0].tolist())
            return inputs, labels

    records = Records(np.arange(48.0)[:, None].repeat(6, axis=1), table().labels)
    recipe(mlp, epochs=2, batch_size=7).fit(records, seed=1, hooks=[See()])
    first, second = seen[:48], seen[48:]
    assert sorted(first) == sorted(second) == list(range(48))
    assert first != second


def test_models_of_members_are_models_of_their_rows():
    rows = membership(20)[0]
    part = Records(table().inputs[rows], table().labels[rows], classes=["a", "b", "c"])
    assert same_bits(recipe(mlp).fit(table().take(rows), seed=1), recipe(mlp).fit(part, seed=1))


def test_schedules_see_the_share_of_all_steps():
    seen = []

    def watching(progress):
        seen.append(progress)
        return 1.0

    model = recipe(mlp, epochs=3, batch_size=16, schedule=watching).fit(table(), seed=1)
    assert seen == pytest.approx([i / 9 for i in range(9)])
    assert same_bits(model, recipe(mlp, epochs=3, batch_size=16).fit(table(), seed=1))


def test_every_group_of_weights_follows_the_schedule():
    rates = []

    class Groups(torch.optim.SGD):
        def step(self, closure=None):
            rates.append([group["lr"] for group in self.param_groups])
            return super().step(closure)

    def grouped(weights):
        first, *others = weights
        return Groups([{"params": [first], "lr": 1.0}, {"params": others}], lr=0.1)

    recipe(mlp, epochs=2, batch_size=48, optimiser=grouped, schedule=lambda p: 1 - p).fit(table(), seed=1)
    assert rates == [[1.0, 0.1], [0.5, 0.05]]


def test_doubles_stay_doubles():
    model = in_double(mlp).fit(table(), seed=1)
    assert model.classifier(torch.tensor(table().inputs)).dtype == torch.float64
    assert isinstance(recipe(mlp, preprocess=as_double), TorchRecipe)
