"""Pretrained networks: trainings by hand, what a frozen body keeps, stacks, with DP-SGD, identities and bad files."""

import functools
import pickle
from collections.abc import Callable

import numpy as np
import pytest
import torch
from tests.training.networks import (
    EQUAL,
    UNEQUAL,
    Skip,
    agree,
    distance,
    in_double,
    linear,
    membership,
    mlp,
    recipe,
    refused,
    same_bits,
    sgd,
    table,
)
from torch import nn
from torch.nn import functional

from vestige.auditing.shadows.sources import refuse_audited_reference
from vestige.core.errors import InputError, OutputError, UnsupportedModelError
from vestige.core.recipe import Model
from vestige.core.records import Records
from vestige.training.adversarial_regularisation import AdversarialRegularisation
from vestige.training.bank import Bank
from vestige.training.classifier import generator_of, global_stream, seed_of, trained_weights
from vestige.training.defences import L2
from vestige.training.identity import is_reusable
from vestige.training.model_key import ModelKey, key_of
from vestige.training.pretrained import Pretrained, Trainable, save_weights
from vestige.training.stacked import reason_against, train_stack
from vestige.training.strategies import measure_torch

LAST, ALL = Trainable.LAST, Trainable.ALL


def normed(n_classes=3):
    """Its batch normalisation has statistics of its own, and its buffers count batches."""
    return nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, n_classes)
    )


class Branching(nn.Module):
    """As a user may write it; its root has a buffer, and dropout is to go on."""

    def __init__(self, n_classes=3):
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))
        self.norm, self.body = nn.BatchNorm1d(6), nn.Linear(6, 8)
        self.drop, self.head = nn.Dropout(0.4), nn.Linear(8, n_classes)

    def forward(self, inputs):
        return self.head(self.drop(self.body(self.norm(inputs)).tanh()))


def wide_head(n_hidden=8):
    return nn.Sequential(nn.Linear(6, n_hidden), nn.ReLU(), nn.Linear(n_hidden, 8), nn.ReLU(), nn.Linear(8, 5))


def source(n=60, n_classes=5):
    return Records(table(n, seed=7).inputs, np.arange(n) % n_classes)


@pytest.fixture
def file(tmp_path):
    """Makes the file of a network that was trained on other records, of five classes if it says no other."""

    def made(network, records=None):
        path = tmp_path / "source.safetensors"
        return save_weights(recipe(network).fit(records or source(), seed=3), path)

    return made


@pytest.fixture
def bodies(file):
    return file(functools.partial(normed, 5))


def begun(network, weights, seed):
    """A network as a model of this seed begins, by hand."""
    from safetensors.torch import load_file

    with global_stream(seed_of(seed, "weights")):
        made = network().double()
    given, own = load_file(weights), dict(made.named_parameters()) | dict(made.named_buffers())
    last = list(dict(made.named_parameters()))[-2:]
    with torch.no_grad():
        for name, tensor in own.items():
            if name not in last:
                tensor.copy_(given[name])
    return made


# ------------------------------------------------------------------------------------ by hand


def test_the_last_layer_is_a_logistic_regression_on_features_by_hand(bodies):
    it = in_double(Pretrained(lambda: normed().double(), bodies, trainable=LAST), epochs=4)
    model = it.fit(table(), seed=5)
    network = begun(normed, bodies, 5)
    head, order = network[-1], generator_of(5, "order")
    with torch.no_grad():
        features = network[:-1].eval()(torch.tensor(table().inputs).double())
    optimiser = sgd()(head.parameters())
    for _ in range(4):
        for rows in torch.split(torch.randperm(48, generator=order), 8):
            optimiser.zero_grad()
            functional.cross_entropy(head(features[rows]), torch.tensor(table().labels)[rows]).backward()
            optimiser.step()
    assert distance(model, network.requires_grad_(False)) < 1e-12


def test_full_fine_tuning_by_hand(bodies):
    it = in_double(Pretrained(lambda: normed().double(), bodies, trainable=ALL), epochs=2)
    model = it.fit(table(), seed=5)
    network, order = begun(normed, bodies, 5), generator_of(5, "order")
    optimiser, x = sgd()(network.parameters()), torch.tensor(table().inputs).double()
    for _ in range(2):
        for rows in torch.split(torch.randperm(48, generator=order), 8):
            optimiser.zero_grad()
            functional.cross_entropy(network(x[rows]), torch.tensor(table().labels)[rows]).backward()
            optimiser.step()
    assert distance(model, network.requires_grad_(False)) < 1e-12


@pytest.mark.parametrize("network", [normed, Branching])
def test_what_a_frozen_body_keeps(network, file):
    """Every bit, its batch statistics too; no optimiser is given it, and no gradient reaches it."""
    given = []

    def optimiser(weights):
        given.append(list(weights))
        return torch.optim.SGD(given[-1], lr=0.1, weight_decay=0.5, momentum=0.9)

    path = file(functools.partial(network, 5))
    it = recipe(Pretrained(network, path, trainable=LAST), optimiser=optimiser, defences=(L2(0.1),))
    with global_stream(0):
        classifier = it.new_classifier().train()
    body = [w for w in classifier.network.parameters() if not w.requires_grad]
    classifier(torch.tensor(table().inputs)).sum().backward()
    assert all(w.grad is None for w in body)
    assert [w.shape for w in trained_weights(classifier)] == [(3, 8), (3,)]
    assert [layer.training for layer in classifier.modules() if isinstance(layer, nn.Dropout)] in ([], [True])
    first, second = it.fit(table(), seed=0), it.fit(table(), seed=1)
    assert all([w.shape for w in some] == [(3, 8), (3,)] for some in given)
    trained, other = first.classifier.network.state_dict(), second.classifier.network.state_dict()
    from safetensors.torch import load_file

    weights = load_file(path)
    heads = [name for name in trained if not torch.equal(trained[name], other[name])]
    assert len(heads) == 2
    assert all(torch.equal(trained[name], weights[name]) for name in trained if name not in heads)


def test_a_head_is_new_even_where_one_of_its_shape_is_in_the_file(file):
    path = file(functools.partial(normed, 5))
    same = Pretrained(functools.partial(normed, 5), path, trainable=ALL)
    heads = []
    for seed in (0, 0, 1):
        with global_stream(seed):
            heads.append(same().state_dict()["5.weight"].clone())
    from safetensors.torch import load_file

    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])
    assert not torch.equal(heads[0], load_file(path)["5.weight"])


def test_a_body_learns_from_its_source(tmp_path):
    """Of few records, a head on features of many is the better classifier."""
    easy = recipe(mlp, epochs=60, optimiser=sgd(lr=0.2)).fit(table(600, seed=3), seed=0)
    path = save_weights(easy, tmp_path / "easy.safetensors")
    few, test = table(12, seed=4), table(500, seed=5)

    def right(network):
        model = recipe(network, epochs=30).fit(few, seed=1)
        return np.mean(model.classifier(torch.tensor(test.inputs)).argmax(dim=1).numpy() == test.labels)

    assert right(Pretrained(mlp, path, trainable=LAST)) > right(mlp) + 0.05


# ------------------------------------------------------------------------------------- stacks


@pytest.mark.parametrize("counts", [EQUAL, UNEQUAL])
@pytest.mark.parametrize("network", [functools.partial(mlp, nn.Dropout), normed, Branching])
def test_a_stack_of_heads_is_the_plain_loop(network, counts, file):
    """A frozen batch normalisation may stand with other numbers of records: it looks at none."""
    path = file(network, table(60, seed=7))
    pretrained = Pretrained(lambda: network().double(), path, trainable=LAST)
    options = {"optimiser": functools.partial(torch.optim.Adam, lr=0.01), "defences": (L2(0.1),)}
    stack = agree(in_double(pretrained, **options), table(), membership(*counts), checkpoints=[2])
    assert not stack[0].classifier.training


@pytest.mark.parametrize(("network", "counts"), [(normed, EQUAL), (Skip, UNEQUAL)])
def test_a_stack_of_whole_networks_is_the_plain_loop(network, counts, file):
    path = file(network, table(60, seed=7))
    agree(in_double(Pretrained(lambda: network().double(), path, trainable=ALL)), table(), membership(*counts))


def test_models_that_end_early_leave_a_stack_of_heads(bodies):
    from vestige.training.stopping import LossPlateau

    pretrained = Pretrained(lambda: normed().double(), bodies, trainable=LAST)
    it = in_double(pretrained, epochs=8, stop=LossPlateau(0.02, patience=1), optimiser=sgd(lr=0.3, momentum=0.5))
    stack = agree(it, table(), membership(17, 20, 23, 24))
    assert len({model.epoch for model in stack}) > 1


def test_a_trainable_norm_is_refused_with_other_numbers_of_records(bodies):
    it = recipe(Pretrained(normed, bodies, trainable=ALL))
    assert reason_against(it) == ""
    refused(UnsupportedModelError, lambda: train_stack(it, table(), membership(*UNEQUAL), seeds=range(3)), "batch")


def test_a_probe_measures_stacks(bodies):
    found = measure_torch(recipe(Pretrained(normed, bodies, trainable=LAST)), table(), membership(*[24, 20] * 4), None)
    assert {m.strategy.stack for m in found} == {1, 4, 8}


# --------------------------------------------------------------------------- files and identity


def test_a_stored_model_is_the_model(bodies):
    it = recipe(Pretrained(normed, bodies, trainable=LAST))
    model = it.fit(table(), seed=2, checkpoints=[1])
    again = it.load(it.dump(model))
    assert same_bits(model, again)
    assert same_bits(model.checkpoints[0], again.checkpoints[0])
    x = torch.tensor(table().inputs)
    assert torch.equal(model.classifier(x), again.classifier(x))


def test_the_identity_is_that_of_the_weights_wherever_they_lie(bodies, tmp_path):
    moved = tmp_path / "moved.safetensors"
    moved.write_bytes(bodies.read_bytes())
    here, there = (recipe(Pretrained(linear, path, trainable=LAST)) for path in (bodies, moved))
    assert here.identity() == there.identity()
    assert "moved" not in str(there.identity())
    assert is_reusable(here.identity())
    others: list[Callable[[], nn.Module]] = [
        Pretrained(linear, save_weights(recipe(linear).fit(table(), seed=0), tmp_path / "l"), trainable=LAST),
        Pretrained(linear, bodies, trainable=ALL),
        Pretrained(mlp, bodies, trainable=LAST),
        Pretrained(linear, bodies, trainable=LAST, records=source()),
        Pretrained(linear, bodies, trainable=LAST, records=source(61)),
        linear,
    ]
    keys = {
        key_of(ModelKey(data="", membership="", recipe=recipe(network).identity(), seed=0))
        for network in (here.network, *others)
    }
    assert len(keys) == 7
    sent = pickle.loads(pickle.dumps(here))  # as it goes to another process of ours
    assert sent.identity() == here.identity()


def test_a_model_of_a_bank_by_its_folder_and_by_its_key(tmp_path, monkeypatch):
    it = recipe(functools.partial(normed, 5))
    model = it.fit(source(), seed=3, checkpoints=[1, 2])
    model_key = ModelKey(data="source", membership="all", recipe={}, seed=3)
    key = key_of(model_key)
    Bank(tmp_path / "bank").put_all({key: (model_key, it.dump(model), {})})
    monkeypatch.setenv("VESTIGE_BANK", str(tmp_path / "bank"))
    for weights in (tmp_path / "bank" / key, key):
        state, given = (
            m.state_dict() for m in (Pretrained(normed, weights, trainable=LAST)(), model.classifier.network)
        )
        assert all(torch.equal(state[name], given[name]) for name in given if not name.startswith("5."))
    refused(InputError, lambda: Pretrained(normed, "0" * 64, trainable=LAST), "No such file", "save_weights")


# ----------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("network", "found"),
    [
        (functools.partial(wide_head, 9), "0.weight of shape (8, 6)"),
        (normed, "no 1.weight"),
        (functools.partial(mlp, nn.Identity), "no 3.weight"),
        (lambda: nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)), "also 4.weight"),
    ],
)
def test_weights_of_another_network(network, found, file):
    it = recipe(Pretrained(network, file(wide_head), trainable=LAST))
    refused(InputError, lambda: it.fit(table(), seed=0), "Expected in source.safetensors the weights of Seq", found)


@pytest.mark.parametrize(
    ("network", "found"), [(linear, "Linear as the last of 1"), (nn.ReLU, "ReLU as the last of 0")]
)
def test_networks_without_a_body(network, found, bodies):
    refused(InputError, lambda: Pretrained(network, bodies, trainable=LAST)(), "two or more layers", found)


def test_a_head_that_is_not_linear(bodies):
    def backwards():
        return nn.Sequential(nn.Linear(6, 3), nn.LayerNorm(3))

    refused(InputError, lambda: Pretrained(backwards, bodies, trainable=LAST)(), "linear, found LayerNorm")


def test_files_that_are_none(tmp_path):
    refused(InputError, lambda: Pretrained(normed, tmp_path / "no", trainable=LAST), "No such file", "save_weights")
    refused(InputError, lambda: Pretrained(normed, tmp_path, trainable=LAST), "directory")
    pickled = tmp_path / "pickled.safetensors"
    torch.save(normed().state_dict(), pickled)
    refused(InputError, lambda: Pretrained(normed, pickled, trainable=LAST), "tensors as safetensors in pickled.safet")
    (tmp_path / "empty").touch()
    refused(InputError, lambda: Pretrained(normed, tmp_path / "empty", trainable=LAST), "as safetensors in empty")


def test_a_file_that_was_changed_since(tmp_path):
    path = save_weights(recipe(functools.partial(normed, 5)).fit(source(), seed=8), tmp_path / "w")
    first = pickle.dumps(Pretrained(normed, path, trainable=LAST))
    for seed in range(9, 12):  # others are remembered
        save_weights(recipe(functools.partial(normed, 5)).fit(source(), seed=seed), path)
        Pretrained(normed, path, trainable=LAST)
    refused(InputError, lambda: pickle.loads(first)(), "weights in w as they were when the recipe was made")


def test_what_cannot_be_saved(tmp_path):
    model = recipe(mlp).fit(table(), seed=0)
    refused(OutputError, lambda: save_weights(model, tmp_path / "no" / "w"), "No such file")
    refused(UnsupportedModelError, lambda: save_weights(Model(len, 3, seed=0), tmp_path / "w"), "a TorchRecipe")


def test_pretraining_records_are_never_audited(bodies):
    own = source()
    it = recipe(Pretrained(normed, bodies, trainable=LAST, records=own))
    audited = Records(np.concatenate([table().inputs, own.inputs[:4]]), np.arange(52) % 3)
    refused(InputError, lambda: refuse_audited_reference(it, audited), "pretraining records that are not", "found 4")
    refuse_audited_reference(it, table())
    against = AdversarialRegularisation(it, table(20, seed=11), strength=1.0)
    refused(InputError, lambda: refuse_audited_reference(against, audited), "pretraining records that are not")
    refused(InputError, lambda: refuse_audited_reference(against, table(20, seed=11)), "reference records that are not")
    refuse_audited_reference(recipe(Pretrained(normed, bodies, trainable=LAST)), audited)
