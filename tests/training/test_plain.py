"""The plain loop against one written out by hand, bit for bit."""

import functools

import numpy as np
import pytest
import torch
from tests.training.networks import (
    as_double,
    images,
    in_double,
    linear,
    membership,
    mlp,
    noisy,
    noisy_from_the_global_stream,
    recipe,
    same_bits,
    sgd,
    table,
    tensors,
)
from torch import nn
from torch.nn import functional

from vestige.core.errors import InputError, TrainingError
from vestige.core.recipe import Model
from vestige.core.records import Records
from vestige.core.seeds import stream
from vestige.training.classifier import as_float
from vestige.training.stopping import Epoch, LossPlateau, ValidationPeak
from vestige.training.torch_recipe import TorchRecipe, cross_entropy


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
    ids=lambda options: "-".join(options) or "defaults",
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
    assert model.history["loss"] == pytest.approx([np.log(3)], rel=1e-12)


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

    def see(inputs, generator):
        seen.append(inputs.clone())
        return inputs

    for network in (mlp, functools.partial(mlp, nn.Dropout)):
        recipe(network, epochs=1, optimiser=sgd(lr=0.0), augment=see).fit(table(), seed=3)
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
    """Not even where the network, the preprocessing, the augmentation or the loss works in place."""

    def zero(inputs, generator):
        return inputs.zero_()

    def of_zeros(outputs, labels):
        return cross_entropy(outputs, labels.zero_())

    records, validation = table(), table(seed=1)
    inputs, labels = records.inputs.copy(), records.labels.copy()
    held_out = validation.inputs.copy()
    it = recipe(
        lambda: nn.Sequential(nn.ReLU(inplace=True), nn.Linear(6, 3)), preprocess=preprocess, stop=ValidationPeak(),
        augment=zero, loss=of_zeros,
    )  # fmt: skip
    it.fit(records, seed=0, validation=validation)
    np.testing.assert_array_equal(records.inputs, inputs)
    np.testing.assert_array_equal(records.labels, labels)
    np.testing.assert_array_equal(validation.inputs, held_out)


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
    validation = table(n=101, seed=5)
    it = recipe(mlp, epochs=12, optimiser=sgd(lr=1.0), stop=ValidationPeak(patience=3))
    model = it.fit(table(), seed=3, validation=validation, checkpoints=range(1, 13))
    longer = recipe(mlp, epochs=12, optimiser=sgd(lr=1.0)).fit(table(), seed=3, checkpoints=range(1, 13))
    x, y = torch.tensor(validation.inputs), torch.tensor(validation.labels)
    shares = [
        float((m.classifier(x).argmax(1) == y).double().mean()) for m in (*longer.checkpoints, longer)
    ]  # of every epoch
    seen = model.history["validation_accuracy"]
    assert seen == pytest.approx(shares[: len(seen)])
    assert model.epoch == len(seen) - int(np.argmax(seen[::-1])) < len(seen) == model.epoch + 3 < 12
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

    def see(inputs, generator):
        seen.extend(inputs[:, 0].tolist())
        return inputs

    records = Records(np.arange(48.0)[:, None].repeat(6, axis=1), table().labels)
    recipe(mlp, epochs=2, batch_size=7, augment=see).fit(records, seed=1)
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
