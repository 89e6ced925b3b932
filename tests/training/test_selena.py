"""SELENA: a training by hand, who is left out, what the final model never sees, and what is refused."""

import functools
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.training.networks import distance, in_double, linear, mlp, recipe, refused, same_bits, sgd, table
from torch import nn
from torch.nn import functional

from vestige.core.errors import InputError, TrainingError
from vestige.core.records import Records
from vestige.core.seeds import stream
from vestige.training.classifier import generator_of, global_stream, seed_of
from vestige.training.defences import L2, LabelSmoothing, RelaxLoss, Translates
from vestige.training.dp_sgd import DPSGD
from vestige.training.identity import is_reusable
from vestige.training.imitation import Imitation
from vestige.training.model_key import ModelKey, key_of
from vestige.training.pretrained import Pretrained, Trainable, save_weights
from vestige.training.selena import Selena
from vestige.training.stacked import train_stack
from vestige.training.stopping import LossPlateau

RECORDS = table()


def selena(base, **options):
    return Selena(base, **{"n_models": 6, "n_without": 2, **options})


def normed():
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


# ------------------------------------------------------------------------------------ by hand


def trained(seed, inputs, targets):
    """A plain loop of three epochs on batches of 8: cross-entropy of classes, or of probabilities."""
    with global_stream(seed_of(seed, "weights")):
        network = mlp().double()
    optimiser, order = sgd()(network.parameters()), generator_of(seed, "order")
    for _ in range(3):
        for rows in torch.split(torch.randperm(len(inputs), generator=order), 8):
            optimiser.zero_grad()
            functional.cross_entropy(network(inputs[rows]), targets[rows]).backward()
            optimiser.step()
    return network.requires_grad_(False)


def test_a_training_by_hand():
    it, seed = selena(in_double(mlp)), 5
    x, y = torch.tensor(RECORDS.inputs).double(), torch.tensor(RECORDS.labels)
    without = it.without(48, seed=seed)
    seeds = stream(seed, "SELENA, seeds of sub-models").integers(2**62, size=6)
    answers = np.full((48, 6, 3), np.nan)
    for number in range(6):
        rows = ~without[:, number]
        network = trained(int(seeds[number]), x[rows], y[rows])
        answers[~rows, number] = network(x[~rows]).softmax(dim=1).numpy()
    soft = np.nanmean(answers, axis=1)
    assert it.soft_labels(RECORDS, seed=seed) == pytest.approx(soft, abs=1e-12)
    final = trained(seed, x, torch.tensor(soft.astype(np.float32)).double())
    assert distance(it.fit(RECORDS, seed=seed), final) < 1e-7  # soft labels are kept in single precision


@pytest.mark.parametrize(
    "base",
    [
        in_double(functools.partial(mlp, nn.Dropout), defences=(L2(0.1), LabelSmoothing(0.1))),
        in_double(normed, batch_size=16),
        in_double(mlp, defences=(RelaxLoss(0.5),)),
    ],
    ids=["stacked", "batch normalisation", "one by one"],
)
def test_soft_labels_are_those_of_models_trained_one_by_one(base):
    it = selena(base)
    without = it.without(48, seed=1)
    seeds = stream(1, "SELENA, seeds of sub-models").integers(2**62, size=6)
    total = np.zeros((48, 3))
    for number in range(6):
        out = without[:, number]
        model = base.fit(RECORDS.take(~out), seed=int(seeds[number]))
        total[out] += model.classifier(torch.tensor(RECORDS.inputs[out])).softmax(dim=1).numpy()
    assert it.soft_labels(RECORDS, seed=1) == pytest.approx(total / 2, abs=1e-11)


# --------------------------------------------------------------------------------------- laws


@pytest.mark.parametrize(("n_models", "n_without"), [(25, 10), (5, 1), (4, 3)])
def test_every_record_is_out_of_as_many_sub_models(n_models, n_without):
    it = Selena(recipe(mlp), n_models=n_models, n_without=n_without)
    without = it.without(500, seed=0)
    assert without.shape == (500, n_models)
    assert (without.sum(axis=1) == n_without).all()
    assert np.ptp(without.sum(axis=0)) <= 1
    assert np.ptp(it.without(499, seed=0).sum(axis=0)) <= 1
    assert (it.without(500, seed=1) != without).any()
    assert (Selena(recipe(mlp)).n_models, Selena(recipe(mlp)).n_without) == (25, 10)


def test_any_pair_of_sub_models_is_as_likely():
    """Of six, and of every record wherever it stands: a chi-square test with 5 degrees of freedom each."""
    it, n = Selena(recipe(mlp), n_models=4, n_without=2), 4_000
    drawn = np.array([it.without(5, seed=seed) for seed in range(n)])
    for record in range(5):
        _, counts = np.unique(drawn[:, record], axis=0, return_counts=True)
        assert len(counts) == 6
        assert ((counts - n / 6) ** 2 / (n / 6)).sum() < 20.5  # p = 0.001


def test_no_record_tells_its_own_soft_label():
    """Those that trained on it change, and with them the soft labels of others."""
    it, labels = selena(recipe(mlp)), RECORDS.labels.copy()
    labels[7] = (labels[7] + 1) % 3
    other = replace(RECORDS, labels=labels, classes=3)
    before, after = (it.soft_labels(records, seed=3) for records in (RECORDS, other))
    assert (before[7] == after[7]).all()
    assert (before != after).any(axis=1).sum() > 40
    assert before.sum(axis=1) == pytest.approx(np.ones(48), abs=1e-6)


def test_the_final_model_never_sees_labels(monkeypatch):
    """Not even where its loss, or a defence of its base, would look at them."""
    soft = np.random.default_rng(0).dirichlet(np.ones(3), size=48)
    monkeypatch.setattr(Selena, "soft_labels", lambda self, records, **options: soft)
    seen = []

    def watched(outputs, labels):
        seen.extend(labels.tolist())
        return functional.cross_entropy(outputs, labels, reduction="none")

    it = selena(recipe(mlp, loss=watched, defences=(RelaxLoss(5.0),)))
    others = replace(RECORDS, labels=RECORDS.labels[::-1].copy(), classes=3)
    first, second = it.fit(RECORDS, seed=0), it.fit(others, seed=0)
    assert same_bits(first, second)
    assert first.history == second.history
    assert set(seen) <= set(soft.argmax(axis=1).tolist())
    assert np.bincount(seen).tolist() == (6 * np.bincount(soft.argmax(axis=1))).tolist()  # 2 models, 3 epochs


def test_the_same_seed_gives_the_same_bits_and_another_one_does_not():
    it = selena(recipe(mlp))
    one, again, other = (it.fit(RECORDS, seed=seed, checkpoints=[1]) for seed in (1, 1, 2))
    assert same_bits(one, again)
    assert not same_bits(one, other)
    assert [m.epoch for m in one.checkpoints] == [1]
    assert same_bits(it.load(it.dump(one)), one)
    assert it.epochs == 3


def test_random_labels_are_not_remembered():
    """Where plain training learns them by heart, and SELENA is at chance."""
    records = Records(table(60).inputs, np.random.default_rng(0).integers(0, 3, 60))
    base = recipe(functools.partial(mlp, width=6), epochs=150, optimiser=functools.partial(torch.optim.Adam, lr=0.03))

    def known(it):
        model = it.fit(records, seed=0)
        return np.mean(model.classifier(torch.tensor(records.inputs)).argmax(dim=1).numpy() == records.labels)

    assert known(base) > 0.8
    assert known(selena(base)) < known(base) - 0.2


def test_copies_of_images_have_the_soft_label_of_their_record():
    images = Records(np.random.default_rng(0).random((20, 1, 6, 6), dtype=np.float32), np.arange(20) % 3)
    base = recipe(lambda: nn.Sequential(nn.Flatten(), nn.Linear(36, 3)), defences=(Translates(1),), epochs=1)
    assert np.isfinite(selena(base).fit(images, seed=0).history["loss"]).all()


# ----------------------------------------------------------------------- identity and bad input


def test_identities(tmp_path):
    file = save_weights(recipe(mlp).fit(RECORDS, seed=0), tmp_path / "w")
    pretrained = recipe(Pretrained(mlp, file, trainable=Trainable.LAST, records=RECORDS))
    some = [
        recipe(mlp),
        selena(recipe(mlp)),
        selena(recipe(mlp), n_models=7),
        selena(recipe(mlp), n_without=3),
        selena(recipe(mlp, epochs=4)),
        selena(pretrained),
    ]
    assert len({key_of(ModelKey(data="", membership="", recipe=it.identity(), seed=0)) for it in some}) == 6
    assert is_reusable(some[1].identity())
    assert dict(selena(pretrained).third_pools) == {"pretraining": RECORDS}
    assert not selena(recipe(mlp)).third_pools


@pytest.mark.parametrize(("n_models", "n_without"), [(25, 0), (10, 10), (1, 1), (3, 5)])
def test_numbers_that_cannot_be(n_models, n_without):
    make = functools.partial(Selena, recipe(mlp), n_models=n_models, n_without=n_without)
    refused(InputError, make, f"of {n_models} sub-models, found {n_without}", "10 of 25")


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"stop": LossPlateau(0.1)}, "a rule of stopping"),
        ({"defences": (DPSGD(1.0, noise=1.0),)}, "DP-SGD"),
        ({"imitation": Imitation()}, "an imitation"),
    ],
)
def test_bases_that_do_not_fit(options, found):
    refused(InputError, lambda: Selena(recipe(mlp, **options)), f"found {found}", "leave it out")


def test_a_sub_model_that_fails():
    it = selena(recipe(mlp, optimiser=sgd(lr=1e30)))
    refused(TrainingError, lambda: it.fit(RECORDS, seed=0), "finite weights")
    refused(InputError, lambda: selena(recipe(linear), n_models=20, n_without=19).fit(RECORDS.take([0, 1]), seed=0), "")
    refused(TrainingError, lambda: selena(recipe(lambda: nn.Linear(6, 2))).fit(RECORDS, seed=0), "3 logits per record")


def test_sub_models_are_trained_in_stacks(monkeypatch):
    sizes = []

    def counted(base, records, member, **options):
        sizes.append(len(member))
        return train_stack(base, records, member, **options)

    monkeypatch.setattr("vestige.training.selena.train_stack", counted)
    selena(recipe(mlp), n_models=12).fit(RECORDS, seed=0)
    assert sizes == [12]
