"""Adversarial regularisation: a classifier is trained against a network that tells its members from other records."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from enum import StrEnum
from itertools import pairwise
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor, nn
from torch.nn import functional

from vestige.core.errors import InputError, TrainingError, UnsupportedModelError
from vestige.core.recipe import Model
from vestige.core.records import Records
from vestige.training.classifier import (
    device_of,
    generator_of,
    global_stream,
    naming_failures,
    seed_of,
    tensors_of,
)
from vestige.training.defences import Data, Defence
from vestige.training.identity import identity_of, plain
from vestige.training.plain import ANSWER_BATCH
from vestige.training.stacked import reason_against_network
from vestige.training.stacked_adversaries import Adversaries, JoinedRows, rows_of_batch
from vestige.training.stacked_layers import Masks, StackedNetwork, UnderVmap, is_changed, simple_layers
from vestige.training.torch_recipe import Adam, TorchRecipe

_FLOOR = math.log(1e-8)  # of log I: below it, the classifier could gain without end from a record


class Penalty(StrEnum):
    """What the classifier pays for being recognised, and by which loss the attacker learns.

    Attributes:
        LOG: `log I` of its members, at least log 1e-8; the attacker learns by cross-entropy. So the texts have it.
        LINEAR: `I - 1/2` of its members; the attacker learns by squared error. So the first code has it.
    """

    LOG = "logarithm"
    LINEAR = "linear"

    def paid(self, logits: Tensor) -> Tensor:
        """Return what each member pays, by the attacker's logit of its membership."""
        if self == Penalty.LOG:
            return functional.logsigmoid(logits).clamp(min=_FLOOR)
        return logits.sigmoid() - 0.5

    def loss(self, logits: Tensor, member: Tensor, reduction: str = "mean") -> Tensor:
        """Return the attacker's loss; `reduction` as of torch's own losses."""
        if self == Penalty.LOG:
            return functional.binary_cross_entropy_with_logits(logits, member, reduction=reduction)
        return functional.mse_loss(logits.sigmoid(), member, reduction=reduction)


@runtime_checkable
class Schedule(Protocol):
    """When the attacker and when the classifier is trained."""

    def rounds(self, n_epochs: int, n_batches: int) -> Iterator[tuple[range, range]]:
        """Yield batches of the attacker, then of the classifier, round by round through one epoch.

        Args:
            n_epochs: Epochs before this one.
            n_batches: Batches of the members. The attacker's may be numbered beyond: it begins again.
        """


@dataclass(frozen=True)
class Alternation:
    """The attacker takes some steps before every step of the classifier.

    Attributes:
        n_steps: Of the attacker, for each of the classifier.
        alone: First epochs in which the classifier is trained alone.

    Raises:
        InputError: A number is negative, or the attacker never learns.

    Source:
        Choquette-Choo et al. 2021: 3 epochs alone, then k - 1 steps; with their k = 1 it is never trained.
    """

    n_steps: int = 1
    alone: int = 3

    def __post_init__(self) -> None:
        if self.n_steps < 1 or self.alone < 0:
            raise InputError(
                f"Expected an attacker that takes steps, from some epoch on, found {self.n_steps} after "
                f"{self.alone} epochs; give whole numbers, such as Alternation(1, 3)."
            )

    def rounds(self, n_epochs: int, n_batches: int) -> Iterator[tuple[range, range]]:
        """Yield a few batches, then one, until all have served; see `Schedule`."""
        n_steps = self.n_steps if n_epochs >= self.alone else 0
        for number in range(n_batches):
            yield range(number * n_steps, (number + 1) * n_steps), range(number, number + 1)


@dataclass(frozen=True)
class PublishedRounds:
    """The schedule of the first code: an epoch of the classifier, 5 of the attacker, then epochs of 76 rounds.

    A round is a run of the attacker's batches, each run beginning where the one before ended, modulo 150, then two
    batches of the classifier, modulo 152. Runs are cut where batches end, and may be empty.

    Attributes:
        run: Batches of the attacker in a round: 52 for Purchase100, 50 for Texas100.

    Source:
        Nasr et al. 2018, code, which is Song & Mittal 2021's too. Of 153 batches (Purchase100) these are 3,376 steps of
        the attacker and 152 of the classifier in an epoch, of 77 (Texas100) 1,975 and 77, in 39 of the 76 rounds.
    """

    run: int

    def rounds(self, n_epochs: int, n_batches: int) -> Iterator[tuple[range, range]]:
        """Yield the runs of a round; see `Schedule`."""
        if n_epochs == 0:
            yield range(0), range(n_batches)
            yield range(5 * n_batches), range(0)
            return
        for number in range(76):
            first, own = number * self.run % 150, 2 * number % 152
            yield range(first, min(first + self.run, n_batches)), range(own, min(own + 2, n_batches))


class MembershipNetwork(nn.Module):
    """A network from a classifier's answer and the class of a record to the logit of its membership.

    Args:
        n_classes: Of the classifier.
        answers: Widths of the layers that the answer goes through.
        labels: Those that the class goes through.
        joint: Those that both go through after that.
        probabilities: Whether it is given probabilities, as the texts say, rather than logits, as the first code does.
        spread: Standard deviation of the first weights, whose biases are 0; None for torch's own.

    Source:
        Nasr et al. 2018; the widths that are set are those of Choquette-Choo et al. 2021's code.
    """

    def __init__(
        self,
        n_classes: int,
        *,
        answers: Sequence[int] = (1024, 512, 64),
        labels: Sequence[int] = (512, 64),
        joint: Sequence[int] = (256, 64),
        probabilities: bool = True,
        spread: float | None = None,
    ) -> None:
        super().__init__()
        self.probabilities = probabilities
        self.answers, self.labels = _layers([n_classes, *answers]), _layers([n_classes, *labels])
        both = [answers[-1] + labels[-1], *joint]
        self.joint = nn.Sequential(*_layers(both), nn.Linear(both[-1], 1))
        if spread is not None:
            for layer in (layer for layer in self.modules() if isinstance(layer, nn.Linear)):
                nn.init.normal_(layer.weight, std=spread)
                nn.init.zeros_(layer.bias)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the logit of membership of every record, from the classifier's logits and the classes."""
        answers = logits.softmax(dim=1) if self.probabilities else logits
        one_hot = functional.one_hot(labels, logits.shape[1]).to(logits)
        joint: Tensor = self.joint(torch.cat([self.answers(answers), self.labels(one_hot)], dim=1))
        return joint[:, 0]


def _stacked(network: nn.Module, masks: Masks) -> StackedNetwork:
    """The implementation of a stack of attackers: a user's own go through `vmap`."""
    if type(network) is MembershipNetwork and not is_changed(network):
        rows = [simple_layers(part) for part in (network.answers, network.labels, network.joint)]
        if None not in rows:
            return JoinedRows(network, [row for row in rows if row], network.probabilities, masks)
    return UnderVmap(network, masks)


def _layers(widths: Sequence[int]) -> nn.Sequential:
    return nn.Sequential(*(layer for n_in, n_out in pairwise(widths) for layer in (nn.Linear(n_in, n_out), nn.ReLU())))


@dataclass(frozen=True, eq=False)
class AdversarialRegularisation:
    """A torch recipe whose classifier pays for every member that an attacker, trained beside it, recognises.

    Several models are trained as one stack, their attackers as another, where both networks allow it.

    The history has the attacker's accuracy in every epoch, `attacker_accuracy`; NaN in one in which it took no step.

    Attributes:
        base: How the classifier is trained.
        reference: Records that the attacker learns nonmembers from: no members, never audited, of the same classes.
        strength: What the penalty is multiplied by; 0 trains as the base does, bit for bit.
        penalty: Its form.
        schedule: When each of the two is trained.
        attacker: Makes the attacker of a number of classes: from logits and labels to one logit a record.
        optimiser: Makes the attacker's optimiser.

    Raises:
        InputError: The strength is negative, or the base has DP-SGD, whose accountant knows no attacker.

    Example:
        >>> import functools
        >>> members = Records(np.eye(4, dtype=np.float32), [0, 1, 0, 1])
        >>> base = TorchRecipe(functools.partial(nn.Linear, 4, 2), epochs=5, batch_size=2)
        >>> recipe = AdversarialRegularisation(base, members.take([2, 3]), strength=0.1)
        >>> len(recipe.fit(members.take([0, 1]), seed=0).history["attacker_accuracy"])
        5

    Source:
        Nasr, Shokri & Houmansadr 2018. While one of the two is trained the other one is in evaluation mode.
    """

    base: TorchRecipe
    reference: Records
    _: KW_ONLY
    strength: float
    penalty: Penalty = Penalty.LOG
    schedule: Schedule = field(default_factory=Alternation)
    attacker: Callable[[int], nn.Module] = MembershipNetwork
    optimiser: Callable[[Any], torch.optim.Optimizer] = Adam

    def __post_init__(self) -> None:
        if not self.strength >= 0:
            raise InputError(
                f"Expected a strength of 0 or more for adversarial regularisation, found {self.strength:g}; give one."
            )
        if self.base.private is not None:
            raise InputError(
                "Expected a base without DP-SGD for adversarial regularisation, whose attacker sees records as they "
                "are, found one; take one of the two defences."
            )

    bfloat16: ClassVar[bool] = False
    """Whether training may be done in it, as of a torch recipe."""

    @property
    def third_pools(self) -> Mapping[str, Records]:
        """Records by what they are for that decide the models and are never audited."""
        return {"reference": self.reference, **self.base.third_pools}

    @property
    def epochs(self) -> int:
        """Epochs of the base."""
        return self.base.epochs

    def fit(
        self,
        records: Records,
        *,
        seed: int,
        start: Model | None = None,
        validation: Records | None = None,
        checkpoints: Sequence[int] = (),
        device: str | None = None,
    ) -> Model:
        """Train one classifier; see `vestige.core.recipe.Recipe.fit`.

        Raises:
            TrainingError: As of the base, or training diverged: the loss of members is higher than it began.
            InputError: The reference records have other classes.
        """
        adversary = Adversary(self, seed, records.n_classes, self._reference(records, device_of(device)))
        base = replace(self.base, defences=(*self.base.defences, adversary))
        model = base.fit(records, seed=seed, start=start, validation=validation, checkpoints=checkpoints, device=device)
        return self._judged(model, adversary, records)

    def fit_stack(
        self,
        records: Records,
        member: Bool[np.ndarray, "model record"],
        *,
        seeds: Sequence[int],
        checkpoints: Sequence[int] = (),
    ) -> list[Model | TrainingError]:
        """Train classifiers and their attackers on each row of a membership matrix, all at once.

        They are those of `fit`, to rounding; arguments and errors as of `vestige.training.stacked.train_stack`.
        """
        reason = self.reason_against_stacks()
        if reason:
            raise UnsupportedModelError(f"Expected networks that can be trained in a stack, found that {reason}.")
        reference = self._reference(records, device_of(None))
        each = [Adversary(self, seed, records.n_classes, reference) for seed in seeds]
        base = replace(self.base, defences=(*self.base.defences, Adversaries(each, _stacked)))
        found: list[Model | TrainingError] = []
        models = base.fit_stack(records, member, seeds=seeds, checkpoints=checkpoints)
        for model, adversary, row in zip(models, each, member, strict=True):
            try:
                if isinstance(model, Model):
                    model = self._judged(model, adversary, records.take(row))
                found.append(model)
            except TrainingError as error:
                found.append(error)
        return found

    def reason_against_stacks(self) -> str:
        """Return why models cannot be trained as one, in words; empty if they can, as far as their layers tell."""
        reason = self.base.reason_against_stacks()
        if reason:
            return reason
        with torch.random.fork_rng(devices=[]):
            attacker = self.attacker(self.reference.n_classes)
            optimiser = self.optimiser(attacker.parameters())
        reason = reason_against_network(attacker, optimiser)
        return reason and f"in its attacker {reason}"

    def _reference(self, records: Records, device: str) -> tuple[Tensor, Tensor]:
        if self.reference.n_classes != records.n_classes:
            raise InputError(
                f"Expected reference records of the {records.n_classes} classes of the members, found "
                f"{self.reference.n_classes}; give both the same classes."
            )
        return tensors_of(self.reference, device)

    def _judged(self, model: Model, adversary: "Adversary", records: Records) -> Model:
        """The model of a training that did not diverge, with what its attacker found in the history."""
        device = str(adversary.reference[1].device)
        before, after = adversary.first_loss, _loss(model.classifier, *tensors_of(records, device))
        if self.strength > 0 and not after <= max(before, math.log(records.n_classes)):
            raise TrainingError(
                f"Expected a loss of members that training lowers, found {after:.3g} after {before:.3g}: training "
                f"diverged; take less strength than {self.strength:g}."
            )
        told = tuple(adversary.accuracies)
        *earlier, last = (
            replace(m, history={**m.history, "attacker_accuracy": told[: len(m.history["loss"])]})
            for m in (*model.checkpoints, model)
        )
        return replace(last, checkpoints=tuple(earlier))

    def n_steps(self, n_records: int) -> int:
        """Return the classifier's steps of an epoch on so many records; raises as that of the base."""
        return self.base.n_steps(n_records)

    def n_weights(self, n_classes: int) -> int:
        """Return how many numbers both optimisers move for one model."""
        with torch.random.fork_rng(devices=[]):
            attacker = self.attacker(n_classes)
        return self.base.n_weights(n_classes) + sum(weight.numel() for weight in attacker.parameters())

    def settled(self, n_records: int) -> "AdversarialRegularisation":
        """Return itself: its base has no epsilon that would leave anything to settle."""
        return self

    def shortened(self, n_records: int, epochs: int) -> "AdversarialRegularisation":
        """Return a recipe whose steps take as long as those of a whole training on the average.

        Args:
            n_records: Of a whole training.
            epochs: Of the measurement.
        """
        n_batches = self.n_steps(n_records)
        rounds = [turn for n in range(self.epochs) for turn in self.schedule.rounds(n, n_batches)]
        own, others = (sum(map(len, batches)) for batches in zip(*rounds, strict=True))
        schedule = Alternation(max(1, round(own / max(others, 1))), alone=0)
        return replace(self, base=self.base.shortened(n_records, epochs), schedule=schedule)

    def identity(self) -> Mapping[str, Any]:
        """Return everything that decides the model; see `vestige.core.recipe.Recipe.identity`."""
        return {
            "recipe": "adversarial regularisation",
            "base": dict(self.base.identity()),
            "reference": self.reference.digest,
            "strength": plain(self.strength),
            "penalty": str(self.penalty),
            **{name: identity_of(getattr(self, name)) for name in ("schedule", "attacker", "optimiser")},
        }

    def dump(self, model: Model) -> Mapping[str, bytes]:
        """Return the files of the classifier; the attacker is not kept."""
        return self.base.dump(model)

    def load(self, files: Mapping[str, bytes]) -> Model:
        """Return the model that `dump` gave these files for."""
        return self.base.load(files)


class Adversary(Defence):
    """The attacker of one training, as a part of its recipe.

    Args:
        recipe: How it is trained.
        seed: Of the model.
        n_classes: Of the classifier.
        reference: Inputs and labels of the reference records, where the training is.
    """

    def __init__(
        self, recipe: AdversarialRegularisation, seed: int, n_classes: int, reference: tuple[Tensor, Tensor]
    ) -> None:
        self.recipe, self.reference, self.device = recipe, reference, str(reference[1].device)
        with naming_failures("an attacker to train", "check what makes it and its optimiser"):
            with global_stream(seed_of(seed, "attacker")):
                self.network = recipe.attacker(n_classes).to(self.device).eval()
            self.optimiser = recipe.optimiser(self.network.parameters())
        self.order = generator_of(seed, "attacker order")
        self.accuracies: list[float] = []
        self.first_loss = math.nan

    def begin(self, classifier: nn.Module, inputs: Tensor, labels: Tensor) -> None:
        """Note the loss of members before training."""
        self.first_loss = _loss(classifier.eval(), inputs, labels)
        classifier.train()

    def mixed(self, losses: Tensor, outputs: Tensor, labels: Tensor, n_epochs: int) -> Tensor:
        """Return the losses with what every member pays."""
        logits: Tensor = self.network.requires_grad_(False)(outputs, labels)
        return losses + self.recipe.strength * self.recipe.penalty.paid(logits)

    def turns(self, classifier: nn.Module, data: Data, n_epochs: int, n_batches: int) -> Iterator[int]:
        """Yield the classifier's batches, and train the attacker in between."""
        members = data[0], data[1]
        if n_epochs == 0:
            self.begin(classifier, *members)
        size, right = self.recipe.base.batch_size, []
        sets = [(pool, torch.randperm(len(pool[1]), generator=self.order)) for pool in (members, self.reference)]
        for own, classifiers in self.recipe.schedule.rounds(n_epochs, n_batches):
            for number in own:
                parts = [_batch(pool, rows_of_batch(order, number % n_batches, size)) for pool, order in sets]
                right.append(self._step(classifier, parts))
            yield from classifiers
        self.accuracies.append(float(np.mean(right)) if right else math.nan)

    def _step(self, classifier: nn.Module, parts: list[tuple[Tensor, Tensor]]) -> float:
        """One step on as many members as reference records; return the share of them that it knew before."""
        classifier.eval()
        n = min(len(labels) for _, labels in parts)
        labels = torch.cat([labels[:n] for _, labels in parts])
        with global_stream(seed_of(0, "attacker step"), self.device), torch.no_grad():
            outputs = classifier(torch.cat([inputs[:n] for inputs, _ in parts]))
        member = torch.cat([torch.ones(n), torch.zeros(n)]).to(outputs)
        self.optimiser.zero_grad(set_to_none=True)
        with global_stream(int(torch.randint(2**62, (1,), generator=self.order)), self.device):
            logits = self.network.train().requires_grad_(True)(outputs, labels)
        self.recipe.penalty.loss(logits, member).backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.network.eval()
        classifier.train()
        return float(((logits.detach() > 0) == (member > 0)).double().mean())


@torch.no_grad()
def _loss(classifier: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    """The mean cross-entropy of a classifier in evaluation mode; torch's random stream stays where it is."""
    with global_stream(0, str(inputs.device)):
        logits = torch.cat([classifier(part.clone()) for part in torch.split(inputs, ANSWER_BATCH)])
    return float(functional.cross_entropy(logits.double(), labels))


def _batch(pool: tuple[Tensor, Tensor], rows: Tensor) -> tuple[Tensor, Tensor]:
    """Records of a pool."""
    rows = rows.to(pool[1].device)
    return pool[0][rows], pool[1][rows]
