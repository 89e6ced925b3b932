"""DP-SGD: trainings by hand, the sensitivity of a step, its noise, planted bugs, what it promises and refuses."""

import functools
import math

import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from tests.training.networks import (
    Skip,
    distance,
    images,
    in_double,
    linear,
    membership,
    mlp,
    recipe,
    refused,
    same_bits,
    sgd,
    table,
    tensors,
)
from torch import nn
from torch.nn import functional

from vestige.core.errors import InputError, UnsupportedModelError
from vestige.core.records import Records
from vestige.training.accounting import epsilon_of
from vestige.training.classifier import generator_of, global_stream, seed_of
from vestige.training.defences import L2, Translates
from vestige.training.dp_sgd import DPSGD, PrivateGradients, Sampling
from vestige.training.imitation import Imitation
from vestige.training.pretrained import Pretrained, Trainable, save_weights
from vestige.training.stacked import reason_against, train_stack
from vestige.training.stopping import LossPlateau
from vestige.training.strategies import measure_torch

SHUFFLED = Sampling.SHUFFLED


def cnn():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.GroupNorm(2, 4), nn.ReLU(), nn.Conv2d(4, 4, 3, stride=2), nn.Flatten(),
        nn.LayerNorm(16), nn.Linear(16, 3),
    )  # fmt: skip


def promised(it, n_records=48):
    found = it.privacy(n_records)
    assert found is not None
    return found


class Twice(nn.Module):
    """One layer that is asked twice, so that its gradient is a sum of two."""

    def __init__(self):
        super().__init__()
        self.middle, self.last = nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, inputs):
        return self.last(self.middle(self.middle(inputs).tanh()))


class Elsewhere(nn.Module):
    """A weight that is used outside of its layer as well, which no hook sees."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, inputs):
        return self.last(self.first(inputs) @ self.first.weight)


def half_frozen():
    network = mlp()
    network[0].requires_grad_(False)
    network[2].bias.requires_grad_(False)
    return network


def frozen_in_the_middle():
    network = mlp()
    network[2].requires_grad_(False)
    return network


def by_hand(it, records, seed):
    """DP-SGD as it is written down: a record at a time."""
    defence, (share, order) = it.private, (it.batch_size / records.n_records, generator_of(seed, "order"))
    drawn = generator_of(seed, "noise of gradients")
    with global_stream(seed_of(seed, "weights")):
        network = it.network()
    weights = [w for w in network.parameters() if w.requires_grad]
    optimiser = it.optimiser(network.parameters())
    x, y = it.preprocess(torch.tensor(records.inputs)), torch.tensor(records.labels)
    n_steps = math.ceil(records.n_records / it.batch_size)
    for _ in range(it.epochs):
        shuffled = defence.sampling == SHUFFLED and torch.randperm(records.n_records, generator=order)
        for step in range(n_steps):
            if defence.sampling == SHUFFLED:
                rows = shuffled[step * it.batch_size : (step + 1) * it.batch_size]
            else:
                rows = torch.nonzero(torch.rand(records.n_records, generator=order, dtype=torch.float64) < share)[:, 0]
            sums = [torch.zeros_like(w) for w in weights]
            for row in rows:
                loss = functional.cross_entropy(network(x[row : row + 1]), y[row : row + 1])
                gradients = torch.autograd.grad(loss, weights)
                norm = torch.sqrt(sum(((g**2).sum() for g in gradients), torch.zeros(())))
                for total, g in zip(sums, gradients, strict=True):
                    total += g * min(1.0, defence.clip / float(norm))
            for weight, total in zip(weights, sums, strict=True):
                noise = torch.randn(weight.shape, generator=drawn, dtype=weight.dtype)
                weight.grad = (total + defence.noise * defence.clip * noise) / it.batch_size
            optimiser.step()
    return network.requires_grad_(False)


@pytest.mark.parametrize("sampling", Sampling)
@pytest.mark.parametrize(
    ("network", "records"),
    [
        (mlp, table()), (cnn, images()), (Skip, table()), (Twice, table()), (Elsewhere, table()),
        (half_frozen, table()), (frozen_in_the_middle, table()),
    ],
)  # fmt: skip
def test_a_training_by_hand(network, records, sampling):
    """Clips that are met by some records and not by others; of 10 a step, so that the last ones are 8."""
    it = in_double(network, batch_size=10, defences=(DPSGD(0.8, noise=0.3, sampling=sampling),))
    if network is Skip:  # its dropout draws for a whole batch at once
        it = in_double(lambda: without_dropout(Skip()), batch_size=10, defences=it.defences)
    assert distance(it.fit(records, seed=4), by_hand(it, records, 4)) < 1e-12


def without_dropout(network):
    network.drop.p = 0.0
    return network


def test_single_precision_is_the_same_to_rounding():
    it = recipe(cnn, batch_size=12, defences=(DPSGD(0.5, noise=0.1),))
    assert distance(it.fit(images(), seed=4), by_hand(it, images(), 4)) < 1e-6


@pytest.mark.parametrize(
    "options", [{}, {"defences": (L2(0.2),)}, {"optimiser": functools.partial(torch.optim.Adam, lr=0.01)}]
)
def test_without_clip_and_noise_it_is_the_plain_training(options):
    """Dropout, too: one pass forward serves the norms and the step."""
    nothing = DPSGD(math.inf, noise=0.0, sampling=SHUFFLED)
    network = functools.partial(mlp, nn.Dropout)
    plain = in_double(network, **options).fit(table(), seed=2)
    private = in_double(network, **{**options, "defences": (nothing, *options.get("defences", ()))})
    assert distance(private.fit(table(), seed=2), plain) < 1e-12
    assert private.fit(table(), seed=2).history["loss"] == pytest.approx(plain.history["loss"], rel=1e-12)


def test_the_same_seed_gives_the_same_bits_and_another_one_does_not():
    it = recipe(mlp, defences=(DPSGD(1.0, noise=1.0),))
    a, b, other = (it.fit(table(), seed=seed) for seed in (1, 1, 2))
    assert same_bits(a, b)
    assert not same_bits(a, other)


# ------------------------------------------------------------------------- sensitivity and noise


def gradient(weight):
    assert weight.grad is not None
    return weight.grad


def one_step(records, rows, defences, n_expected=8):
    """The gradients of one step on some of the records, times the expected size of a batch."""
    it = in_double(functools.partial(mlp, nn.Tanh), defences=defences)
    with global_stream(3):
        classifier = it.new_classifier()
    x, y = torch.tensor(records.inputs), torch.tensor(records.labels)
    assert it.private is not None
    private = PrivateGradients.of(it, it.private, classifier, x, y, 0)
    private.n_expected = n_expected
    network = classifier.network
    with private.watched(network, len(rows)) as calls:
        outputs = network(x[rows].double())
    if len(rows):
        private.mean_of(functional.cross_entropy(outputs, y[rows], reduction="none"), calls, network).backward()
    private.add_noise(network)
    return n_expected * torch.cat([gradient(w).flatten() for w in network.parameters()])


def check_sensitivity():
    """One record more, of the same randomness, changes the sum by no more than the clip, and some by all of it."""
    records = Records(30 * table().inputs, table().labels)
    found = []
    for record in range(40, 48):
        rows = torch.arange(5)
        more = torch.cat([rows, torch.tensor([record])])
        sums = [one_step(records, some, (DPSGD(0.25, noise=0.5),)) for some in (rows, more)]
        found.append(float((sums[1] - sums[0]).norm()))
    assert max(found) == pytest.approx(0.25, rel=1e-6)
    assert min(found) >= 0


def check_noise():
    """Of a step without records: its standard deviation is the noise in clips, whatever the clip is."""
    for clip in (0.25, 4.0):
        sums = one_step(table(), torch.arange(0), (DPSGD(clip, noise=0.5),))
        assert float(sums.std()) == pytest.approx(0.5 * clip, rel=0.2)  # of 155 numbers: 3.5 standard errors


def zeros():
    network = nn.Linear(6, 3, bias=False)
    nn.init.zeros_(network.weight)
    return network


def audited(n_trainings=120):
    """Trainings with a record and without: a bound of the TPR at a threshold fixed beforehand, and what is allowed."""
    it = recipe(zeros, epochs=1, batch_size=8, optimiser=sgd(lr=8.0), defences=(DPSGD(4.0, noise=1.0, delta=0.01),))
    downhill = torch.tensor([2.0, -1.0, -1.0]) / math.sqrt(6)  # of class 0, where all are as likely
    found = []
    for size in (100.0, 0.0):  # a record of zeros has no gradient, as if it were not there
        inputs = np.zeros((8, 6), dtype=np.float32)
        inputs[0, 0] = size
        records = Records(inputs, np.zeros(8, dtype=int), classes=["low", "middle", "high"])
        columns = [it.fit(records, seed=seed).classifier.network.weight[:, 0] for seed in range(n_trainings)]
        found.append(sum(float(column @ downhill) / 4.0 > 0.6 for column in columns))  # in clips
    members, others = (binomtest(n, n_trainings).proportion_ci(0.95) for n in found)
    return members.low, promised(it, 8).most_tpr(others.high)


def check_audit():
    bound, allowed = audited()
    assert bound <= allowed


def test_a_step_keeps_what_the_accountant_presumes():
    check_sensitivity()
    check_noise()
    check_audit()


def test_noise_that_is_forgotten_is_found(monkeypatch):
    monkeypatch.setattr(torch, "randn", lambda *args, generator=None, **options: torch.zeros(*args, **options))
    for check in (check_noise, check_audit):
        with pytest.raises(AssertionError):
            check()


def test_noise_that_does_not_know_the_clip_is_found(monkeypatch):
    right = PrivateGradients.add_noise

    def wrong(self, network):
        defence, self.defence = self.defence, DPSGD(1.0, noise=self.defence.noise)
        right(self, network)
        self.defence = defence

    monkeypatch.setattr(PrivateGradients, "add_noise", wrong)
    for check in (check_noise, check_audit):
        with pytest.raises(AssertionError):
            check()


def of_the_mean(self, losses, calls, network):
    """What `mean_of` returns, if the mean of the batch is clipped."""
    weights = list(network.parameters())
    gradients = torch.autograd.grad(losses.mean(), weights, retain_graph=True)
    norm = torch.stack([g.square().sum() for g in gradients]).sum().sqrt()
    return losses.mean() * (self.defence.clip / norm).clamp(max=1.0) / self.n_expected * len(losses)


def test_a_clip_of_the_mean_of_a_batch_is_found(monkeypatch):
    monkeypatch.setattr(PrivateGradients, "mean_of", of_the_mean)
    for check in (check_sensitivity, check_audit):
        with pytest.raises(AssertionError):
            check()


def update(n, rows):
    """What a step of a training on the first `n` records takes from the weights; the randomness is always the same."""
    defence = DPSGD(0.25, noise=0.5)
    it = in_double(functools.partial(mlp, nn.Tanh), defences=(defence,))
    with global_stream(3):
        classifier = it.new_classifier()
    records = Records(30 * table().inputs, table().labels)
    x, y = torch.tensor(records.inputs)[:n], torch.tensor(records.labels)[:n]
    private, network = PrivateGradients.of(it, defence, classifier, x, y, 0), classifier.network
    with private.watched(network, len(rows)) as calls:
        outputs = network(x[rows].double())
    private.mean_of(functional.cross_entropy(outputs, y[rows], reduction="none"), calls, network).backward()
    private.add_noise(network)
    return torch.cat([w.grad.flatten() for w in network.parameters() if w.grad is not None])


def check_replay():
    """The training with one record more, played with the same randomness, takes a step that differs by a clip."""
    for n in range(4, 20):  # data of less than a batch of 8, and of three
        rows = torch.arange(min(n, 6))
        same, with_it = (update(n + 1, some) for some in (rows, torch.cat([rows, torch.tensor([n])])))
        for other in (same, with_it):
            assert float((other - update(n, rows)).norm()) <= 0.25 / 8 * (1 + 1e-6)


def test_a_step_of_data_with_one_record_more_differs_by_a_clip():
    check_replay()


def test_a_divisor_that_follows_the_number_of_records_is_found(monkeypatch):
    """Opacus 1.0 to 1.6: records over steps, rounded down. On small data one record more changes it (its issue 819)."""
    right = PrivateGradients.of

    def wrong(recipe, defence, classifier, inputs, labels, seed):
        private, n = right(recipe, defence, classifier, inputs, labels, seed), len(labels)
        private.n_expected = n // math.ceil(n / recipe.batch_size)
        return private

    monkeypatch.setattr(PrivateGradients, "of", wrong)
    with pytest.raises(AssertionError):
        check_replay()


def test_a_clip_of_the_mean_is_found_by_replay_as_well(monkeypatch):
    monkeypatch.setattr(PrivateGradients, "mean_of", of_the_mean)
    with pytest.raises(AssertionError):
        check_replay()


def test_a_step_is_divided_by_the_batch_size():
    rows = torch.arange(3)
    a, b = (one_step(table(), rows, (DPSGD(0.25, noise=0.0),), n) for n in (8, 24))
    torch.testing.assert_close(a, b)
    defence = DPSGD(1.0, noise=1.0)
    it = recipe(mlp, batch_size=100, defences=(defence,))
    x, y = torch.tensor(table().inputs), torch.tensor(table().labels)
    assert PrivateGradients.of(it, defence, it.new_classifier(), x, y, 0).n_expected == 100


def test_poisson_draws():
    """Every record by its own coin: sizes are binomial, steps without records among them, all pairs are as likely."""
    defence = DPSGD(1.0, noise=1.0)
    steps = list(defence.batches(40, 20_000, 2, torch.Generator().manual_seed(0)))
    sizes = np.array([len(rows) for rows in steps])
    expected = [math.comb(40, k) * 0.05**k * 0.95 ** (40 - k) for k in range(5)]
    np.testing.assert_allclose(np.bincount(sizes, minlength=5)[:5] / len(sizes), expected, atol=0.01)
    counts = torch.bincount(torch.cat(steps), minlength=40)
    assert int(counts.min()) > 870
    assert int(counts.max()) < 1130


def test_steps_without_records_have_noise_and_penalties():
    it = in_double(mlp, epochs=30, batch_size=1, defences=(DPSGD(1.0, noise=0.5), L2(0.01)))
    model = it.fit(Records(table().inputs[:2], np.array([0, 1]), classes=["low", "middle", "high"]), seed=0)
    assert len(model.history["loss"]) == 30
    assert all(map(math.isfinite, model.history["loss"]))


# ------------------------------------------------------------------------------ what it promises


def test_noise_alone_reports_epsilon():
    it = recipe(mlp, defences=(DPSGD(2.0, noise=1.5),))
    told = promised(it)
    assert told.epsilon == epsilon_of(1.5, 8 / 48, 18, 1 / 48)
    assert (told.n_steps, told.delta, told.clip, told.noise) == (18, 1 / 48, 2.0, 1.5)
    assert "epsilon" in str(told)
    assert "drawn by Poisson sampling" in str(told)
    shuffled = recipe(mlp, defences=(DPSGD(2.0, noise=1.5, sampling=SHUFFLED),))
    assert promised(shuffled).epsilon == told.epsilon
    assert "shuffled, but accounted for as if drawn by Poisson sampling" in str(shuffled.privacy(48))
    assert recipe(mlp).privacy(48) is None


def test_epsilon_alone_finds_the_noise():
    it = recipe(mlp, defences=(DPSGD(1.0, epsilon=5.0, delta=1e-5),))
    assert 4.95 < promised(it).epsilon <= 5.0
    noise = promised(it).noise
    told = recipe(mlp, defences=(DPSGD(1.0, noise=noise, delta=1e-5),))
    assert same_bits(it.fit(table(), seed=1), told.fit(table(), seed=1))


def test_both_find_the_epochs():
    it = recipe(mlp, epochs=500, defences=(DPSGD(1.0, noise=2.0, epsilon=8.0, delta=1e-5),))
    model = it.fit(table(), seed=1)
    assert 1 < model.epoch < 500
    assert promised(it).n_steps == 6 * model.epoch
    assert promised(it).epsilon <= 8.0 < epsilon_of(2.0, 8 / 48, 6 * (model.epoch + 1), 1e-5)


def test_the_identity_tells_everything():
    made = [DPSGD(1.0, noise=1.0), DPSGD(1.0, noise=2.0), DPSGD(2.0, noise=1.0), DPSGD(1.0, noise=1.0, epsilon=3.0),
            DPSGD(1.0, noise=1.0, delta=0.1), DPSGD(1.0, noise=1.0, sampling=SHUFFLED)]  # fmt: skip
    found = [recipe(linear, defences=(defence,)).identity()["defences"] for defence in made]
    assert len({str(identity) for identity in found}) == len(made)


def test_checkpoints_are_kept_as_ever():
    it = recipe(mlp, defences=(DPSGD(1.0, noise=1.0),))
    model = it.fit(table(), seed=1, checkpoints=(1, 2))
    assert [m.epoch for m in model.checkpoints] == [1, 2]
    loaded = it.load(it.dump(model))
    assert same_bits(loaded, model)


def test_an_imitator_may_be_private():
    answered = table().answered(np.random.default_rng(0).normal(size=(48, 3)))
    it = in_double(mlp, imitation=Imitation(alpha=0.5, warm_up=0.0), defences=(DPSGD(1.0, noise=0.5),))
    plain = in_double(mlp, defences=it.defences)
    assert distance(it.fit(answered, seed=0), plain.fit(table(), seed=0)) > 1e-4


# ---------------------------------------------------------------------------------------- refused


def test_one_by_one_instead_of_a_stack():
    it = recipe(mlp, defences=(DPSGD(1.0, epsilon=20.0),))
    assert reason_against(it) == "DP-SGD clips the gradient of each record of each model"
    with pytest.raises(UnsupportedModelError, match="found that DP-SGD clips the gradient"):
        train_stack(it, table(), membership(20, 20), seeds=(0, 1))
    found = measure_torch(it, table(), membership(*[24] * 8), None)
    assert {m.strategy.stack for m in found} == {1}


class CentredBatch(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, inputs):
        return self.layer(inputs - inputs.mean(dim=0))


class Counting(nn.Linear):
    def __init__(self):
        super().__init__(6, 3)
        self.register_buffer("seen", torch.zeros(6))

    def forward(self, inputs):
        self.seen += inputs.detach().mean(dim=0)
        return super().forward(inputs)


def relative(outputs, labels):
    losses = functional.cross_entropy(outputs, labels, reduction="none")
    return losses / losses.mean().detach()


def mixed_up(inputs, generator):
    return 0.5 * inputs + 0.5 * inputs.flip(0)


@pytest.mark.parametrize(
    ("network", "options", "found"),
    [
        (functools.partial(mlp, functools.partial(nn.BatchNorm1d, 8)), {}, "found BatchNorm1d in it"),
        (CentredBatch, {}, "found other records matter"),
        (mlp, {"augment": mixed_up}, "found other records matter"),
        (mlp, {"loss": relative}, "found other records matter"),
        (Counting, {}, "found buffers that change"),
    ],
)
def test_what_sees_other_records_is_refused(network, options, found):
    it = recipe(network, defences=(DPSGD(1.0, noise=1.0),), **options)
    refused(InputError, lambda: it.fit(table(), seed=0), found, "group normalisation (nn.GroupNorm)")


def test_random_augmentation_and_dropout_are_not():
    def noisy(inputs, generator):
        return inputs + 0.3 * torch.randn(inputs.shape, generator=generator)

    recipe(functools.partial(mlp, nn.Dropout), augment=noisy, defences=(DPSGD(1.0, noise=1.0),)).fit(table(), seed=0)


@pytest.mark.parametrize(
    ("call", "essentials"),
    [
        (lambda: DPSGD(0.0, noise=1.0), ("a clip above 0", "found 0")),
        (lambda: DPSGD(math.inf, noise=1.0), ("finite with noise", "found inf")),
        (lambda: DPSGD(1.0), ("found neither", "give DPSGD(clip, noise=1.0)")),
        (lambda: DPSGD(1.0, noise=-1.0), ("found -1",)),
        (lambda: DPSGD(1.0, noise=0.01), ("or 0 for none", "found 0.01")),
        (lambda: DPSGD(1.0, epsilon=0.0), ("a finite epsilon above 0", "found 0")),
        (lambda: DPSGD(1.0, noise=1.0, delta=1.0), ("a delta between 0 and 1", "found 1")),
        (lambda: recipe(mlp, stop=LossPlateau(), defences=(DPSGD(1.0, noise=1.0),)), ("no stopping rule with DP-SGD",)),
        (lambda: recipe(mlp, bfloat16=True, defences=(DPSGD(1.0, noise=1.0),)), ("no bfloat16 with DP-SGD",)),
        (lambda: recipe(cnn, defences=(DPSGD(1.0, noise=1.0), Translates(1))), ("found DPSGD, Translates",)),
        (lambda: recipe(mlp, defences=(DPSGD(1.0, epsilon=1e-9, delta=1e-5),)).fit(table(), seed=0), ("found 1e-09",)),
        (
            lambda: recipe(mlp, defences=(DPSGD(1.0, noise=0.5, epsilon=0.1, delta=1e-5),)).fit(table(), seed=0),
            ("that of one epoch with noise 0.5", "found 0.1"),
        ),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(call, essentials):
    refused(InputError, call, *essentials)


# -------------------------------------------------------------------------------- transfer learning


def normed(n_classes=3):
    return nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, n_classes)
    )


def pretrained(folder, trainable):
    source = recipe(functools.partial(normed, 3)).fit(table(seed=7), seed=3)
    file = save_weights(source, folder / "source.safetensors")
    return Pretrained(lambda: normed().double(), file, trainable=trainable)


@pytest.mark.parametrize("sampling", Sampling)
def test_the_last_layer_by_hand(sampling, tmp_path):
    """Batch normalisation in a frozen body looks at no batch; the norm that is clipped is that of the head alone."""
    network = pretrained(tmp_path, Trainable.LAST)
    it = in_double(network, batch_size=10, defences=(DPSGD(0.8, noise=0.3, sampling=sampling),))
    model, hand = it.fit(table(), seed=4), by_hand(it, table(), 4)
    assert distance(model, hand) < 1e-12
    before, after = tensors(network()), tensors(model)
    assert [name for name in after if not torch.equal(before[name], after[name])] == ["5.weight", "5.bias"]


def test_norms_of_the_head_are_had_at_once(tmp_path):
    network = pretrained(tmp_path, Trainable.LAST)
    it = in_double(network, defences=(DPSGD(0.8, noise=0.3),))
    with global_stream(0):
        classifier = it.new_classifier()
    x, y = torch.tensor(table().inputs), torch.tensor(table().labels)
    private = PrivateGradients.of(it, DPSGD(0.8, noise=0.3), classifier, x, y, 0)
    assert private.by_layer
    with private.watched(classifier.network, 48) as calls:
        classifier.network(x.double())
    assert [layer for layer, _, _ in calls] == [list(classifier.network.modules())[-1]]


def test_transfer_promises_what_dp_promises(tmp_path):
    private = (DPSGD(0.8, noise=1.0),)
    transferred = recipe(pretrained(tmp_path, Trainable.LAST), defences=private)
    assert transferred.privacy(48) == recipe(mlp, defences=private).privacy(48)
    assert transferred.identity()["defences"] == recipe(mlp, defences=private).identity()["defences"]
    assert reason_against(transferred).startswith("DP-SGD clips")


def test_batch_normalisation_that_is_trained_is_refused_with_the_cure(tmp_path):
    it = in_double(pretrained(tmp_path, Trainable.ALL), defences=(DPSGD(0.8, noise=0.3),))
    refused(InputError, lambda: it.fit(table(), seed=0), "found BatchNorm1d in it", "group normalisation")
