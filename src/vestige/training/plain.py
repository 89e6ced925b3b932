"""The plain training loop of one torch model, which every faster way must agree with."""

import copy
import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from vestige.core.errors import InputError
from vestige.core.memory import keep_freed_memory
from vestige.core.recipe import Model
from vestige.core.records import Records
from vestige.training.classifier import (
    Classifier,
    check_finite,
    check_width,
    device_of,
    generator_of,
    global_stream,
    naming_failures,
    seed_of,
    tensors_of,
    trained_weights,
)
from vestige.training.defences import Data
from vestige.training.dp_sgd import PrivateGradients
from vestige.training.stopping import Epoch

if TYPE_CHECKING:
    from vestige.training.torch_recipe import TorchRecipe

ANSWER_BATCH = 256
"""Records asked at once for the validation accuracy, here as in a stack."""

State = dict[str, Tensor]


def batch_of(data: Data, take: Callable[[Tensor], Tensor]) -> Data:
    """Return what is taken of each part of the data that is there."""
    inputs, labels, answers = data
    return take(inputs), take(labels), None if answers is None else take(answers)


_CURE = "check the network against the inputs and what the recipe is made of"


def train(
    recipe: "TorchRecipe",
    records: Records,
    *,
    seed: int,
    start: Model | None = None,
    validation: Records | None = None,
    checkpoints: Sequence[int] = (),
    device: str | None = None,
    low_precision: bool = False,
) -> Model:
    """Train one network; see `vestige.core.recipe.Recipe.fit`.

    Args:
        recipe: How.
        records: What to train on.
        seed: Of every random stream of the model.
        start: Continue from this model's weights.
        validation: Records for the stopping rule.
        checkpoints: Epochs after which a copy is kept.
        device: Where to train; as `device_of` if omitted.
        low_precision: Use bfloat16 and channels-last; the recipe must allow it.

    Raises:
        TrainingError: The recipe raised, or its weights or answers are not what they should be.
        InputError: An option or the records do not suit the recipe.
    """
    keep_freed_memory()
    device, recipe = device_of(device), recipe.settled(records.n_records)
    check_options(recipe, validation, checkpoints)
    inputs, labels = recipe.enlarged(*tensors_of(records, device))
    answers = recipe.imitated(records, device)
    n_used = recipe.n_used(records.n_records)
    held_out = held_out_of(recipe, validation, device)
    order, noise = generator_of(seed, "order"), generator_of(seed, "augment")
    with global_stream(seed_of(seed, "weights"), device), naming_failures("the recipe to train", _CURE):
        classifier = started(recipe, start).to(device)
        if low_precision:
            classifier = classifier.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        network = classifier.network
        optimiser, defence = recipe.optimiser(trained_weights(network)), recipe.private
        run = _Run(
            recipe=recipe,
            classifier=classifier,
            optimiser=optimiser,
            noise=noise,
            n_classes=records.n_classes,
            low_precision=low_precision,
            private=None if defence is None else PrivateGradients.of(recipe, defence, classifier, inputs, labels, seed),
        )
        course = Course(recipe, checkpoints)
        going = True
        while going:
            batches = recipe.batches(len(labels), n_used, order)
            loss = run.epoch((inputs, labels, answers), batches, course.n_epochs)
            check_finite(network.named_parameters(), network.named_buffers(), course.n_epochs + 1)
            told = Epoch(loss, accuracy(classifier, held_out), share_of_commonest(held_out))
            going = course.goes_on(told, lambda: state_of(network))
    return course.model(classifier, None, records.n_classes, seed)


def check_options(recipe: "TorchRecipe", validation: Records | None, checkpoints: Sequence[int]) -> None:
    """Refuse options that the recipe cannot use.

    Raises:
        InputError: Its stopping rule needs validation records, or a checkpoint lies beyond its epochs.
    """
    if recipe.stop is not None and recipe.stop.needs_validation and validation is None:
        raise InputError(
            f"Expected validation records for {type(recipe.stop).__name__}, found none; pass validation, or use a rule "
            "that reads the training loss."
        )
    beyond = [epoch for epoch in checkpoints if not 1 <= epoch <= recipe.epochs]
    if beyond:
        raise InputError(f"Expected checkpoints in 1..{recipe.epochs}, the recipe's epochs, found {beyond[0]}.")


def held_out_of(recipe: "TorchRecipe", validation: Records | None, device: str) -> tuple[Tensor, Tensor] | None:
    """Return the validation records as tensors; None if no stopping rule reads them."""
    asks = recipe.stop is not None and recipe.stop.needs_validation
    return tensors_of(validation, device) if asks and validation is not None else None


def started(recipe: "TorchRecipe", start: Model | None) -> Classifier:
    """Return a new classifier, with the weights of `start` if there is one.

    Raises:
        InputError: `start` is another network.
    """
    classifier = recipe.new_classifier()
    if start is not None:
        source = start.classifier
        network = source.network if isinstance(source, Classifier) else source
        if not isinstance(network, nn.Module):
            raise InputError(f"Expected a torch network to start from, found {type(network).__name__}.")
        try:
            classifier.network.load_state_dict(network.state_dict())
        except RuntimeError as error:
            found = " ".join(str(error).split())
            raise InputError(f"Expected to start from the recipe's own network, found another: {found[:200]}") from None
    return classifier


def tensors_in(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield all parameters and buffers, by name."""
    yield from network.named_parameters()
    yield from network.named_buffers()


def state_of(network: nn.Module) -> State:
    """Return a copy of all parameters and buffers."""
    return {name: tensor.detach().clone() for name, tensor in tensors_in(network)}


@torch.no_grad()
def restore(network: nn.Module, state: State) -> None:
    """Set a network to a state that `state_of` copied from it, or from another of its kind."""
    for name, tensor in tensors_in(network):
        tensor.copy_(state[name])


class Course:
    """The course of one model's training: its epochs, the checkpoints, and the weights to keep."""

    def __init__(self, recipe: "TorchRecipe", checkpoints: Sequence[int]) -> None:
        self.recipe, self.checkpoints = recipe, checkpoints
        self.epochs: list[Epoch] = []
        self.kept: dict[int, State] = {}
        self.best: State | None = None

    @property
    def n_epochs(self) -> int:
        """Number of epochs so far."""
        return len(self.epochs)

    def goes_on(self, epoch: Epoch, state: Callable[[], State]) -> bool:
        """Note an epoch; return whether there is to be another one.

        Args:
            epoch: Loss and accuracy.
            state: Returns a copy of the present weights.
        """
        self.epochs.append(epoch)
        stop = self.recipe.stop
        if self.n_epochs in self.checkpoints:
            self.kept[self.n_epochs] = state()
        if stop is not None and stop.best(self.epochs) == self.n_epochs:
            self.best = state()
        return self.n_epochs < self.recipe.epochs and not (stop is not None and stop.stops(self.epochs))

    def model(self, classifier: Classifier, state: State | None, n_classes: int, seed: int) -> Model:
        """Return the model of a training that has ended.

        Args:
            classifier: The trained network, or one like it that takes its weights.
            state: The weights at the end; None if the classifier has them.
            n_classes: Classes of its records.
            seed: Seed of its training.
        """
        stop = self.recipe.stop
        last = self.n_epochs if stop is None else stop.best(self.epochs)
        history = {"loss": tuple(epoch.loss for epoch in self.epochs)}
        if stop is not None and stop.needs_validation:
            history["validation_accuracy"] = tuple(epoch.validation_accuracy for epoch in self.epochs)
        earlier = []
        for number, kept in sorted(self.kept.items()):
            if number < last:
                copied = copy.deepcopy(classifier)
                restore(copied.network, kept)
                said = {name: values[:number] for name, values in history.items()}
                earlier.append(Model(copied.ready(), n_classes, seed=seed, epoch=number, checkpoints=(), history=said))
        kept_state = self.best or state
        if kept_state is not None:
            restore(classifier.network, kept_state)
        return Model(classifier.ready(), n_classes, seed=seed, epoch=last, checkpoints=tuple(earlier), history=history)


@dataclass(kw_only=True, eq=False)
class _Run:
    """The values that all steps of a training need."""

    recipe: "TorchRecipe"
    classifier: Classifier
    optimiser: torch.optim.Optimizer
    noise: torch.Generator
    n_classes: int
    low_precision: bool
    private: PrivateGradients | None

    def __post_init__(self) -> None:
        self.rates = [group["lr"] for group in self.optimiser.param_groups]
        self.penalty = self.recipe.penalty_on(self.classifier.network)

    def epoch(self, data: Data, batches: Sequence[Tensor], n_before: int) -> float:
        """Train for an epoch, after so many; return the mean loss of the records."""
        recipe, total, n_seen = self.recipe, torch.zeros((), dtype=torch.float64), 0
        self.classifier.train()
        for done, number in enumerate(recipe.turns(self.classifier, data, n_before, len(batches))):
            rows = batches[number]
            if recipe.schedule is not None:
                progress = (n_before + done / len(batches)) / recipe.epochs
                set_rates(self.optimiser, self.rates, recipe.schedule(progress))
            total += self._step(batch_of(data, operator.itemgetter(rows)), n_before) * rows.numel()
            n_seen += rows.numel()
        return float(total / max(n_seen, 1))

    def _step(self, batch: Data, n_epochs: int) -> Tensor:
        network = self.classifier.network
        self.optimiser.zero_grad(set_to_none=True)
        loss, goal = self._losses(batch, n_epochs)
        if self.penalty is not None:  # also of a step without records: what is added knows none of them
            more = self.penalty({name: weight[None] for name, weight in network.named_parameters()})[0]
            loss, goal = loss + more, goal + more
        goal.backward()  # type: ignore[no-untyped-call]
        if self.private is not None:
            self.private.add_noise(network)
        self.optimiser.step()
        return loss.detach().cpu().double()

    def _losses(self, batch: Data, n_epochs: int) -> tuple[Tensor, Tensor]:
        """The mean loss of a batch, and what is minimised: the same, or the sum of clipped losses over the expected."""
        inputs, labels, answers = batch
        recipe, network, private = self.recipe, self.classifier.network, self.private
        if not len(labels):
            return torch.zeros(()), torch.zeros((), device=inputs.device, requires_grad=True)
        inputs = recipe.preprocess(inputs)
        if recipe.augment is not None:
            inputs = recipe.augment(inputs, self.noise)
        if self.low_precision and inputs.ndim == 4:
            inputs = inputs.to(memory_format=torch.channels_last)
        kind = "cuda" if next(network.parameters()).is_cuda else "cpu"
        precision = torch.autocast(kind, dtype=torch.bfloat16) if self.low_precision else nullcontext()
        with precision, nullcontext() if private is None else private.watched(network, len(labels)) as calls:
            outputs = network(inputs)
        check_width(outputs, len(labels), self.n_classes)
        losses = recipe.losses(outputs.float() if self.low_precision else outputs, labels, answers, n_epochs)
        mean = losses.mean()
        return mean, mean if private is None else private.mean_of(losses, calls, network)


def set_rates(optimiser: torch.optim.Optimizer, rates: Sequence[float | Tensor], factor: float) -> None:
    """Set the learning rate of every group to a multiple of its first one."""
    for group, rate in zip(optimiser.param_groups, rates, strict=True):
        group["lr"] = rate * factor


@torch.no_grad()
def share_of_commonest(held_out: tuple[Tensor, Tensor] | None) -> float:
    """Return the share of the records that are of their commonest class; NaN without records."""
    return float("nan") if held_out is None else int(held_out[1].bincount().max()) / held_out[1].numel()


def accuracy(classifier: Classifier, held_out: tuple[Tensor, Tensor] | None) -> float:
    """Return the accuracy in evaluation mode; NaN without records."""
    if held_out is None:
        return float("nan")
    inputs, labels = held_out
    classifier.eval()
    batches = zip(torch.split(inputs, ANSWER_BATCH), torch.split(labels, ANSWER_BATCH), strict=True)
    # Copied, because a network may change its inputs in place, and these are the records themselves.
    right = [int((classifier(x.clone()).argmax(dim=1) == y).sum()) for x, y in batches]
    return sum(right) / labels.numel()
