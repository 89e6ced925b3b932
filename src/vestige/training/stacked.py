"""Many small torch models trained as one, their weights stacked: one call does the work of many.

Each model keeps its own records, data order, initial weights, dropout and augmentation, so that a stack gives the
models that `plain` would give one by one, to rounding.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor, nn
from torch.func import stack_module_state

from vestige.core.errors import TrainingError, UnsupportedModelError
from vestige.core.recipe import Model
from vestige.core.records import Records
from vestige.training.checking import check_finite, check_width
from vestige.training.plain import check_options, finished, set_rates
from vestige.training.stacked_layers import Masks, Weights, stacked_network
from vestige.training.stopping import Epoch
from vestige.training.torch_recipe import Classifier, generator_of, seed_of, tensors_of

if TYPE_CHECKING:
    from vestige.training.torch_recipe import TorchRecipe

_ELEMENTWISE = (
    torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.Adamax, torch.optim.NAdam, torch.optim.RAdam,
    torch.optim.RMSprop, torch.optim.Adagrad, torch.optim.Adadelta,
)  # fmt: skip
"""Optimisers whose step treats every weight alone, so that stacked weights move as they would apart."""

_RANDOM = (nn.AlphaDropout, nn.FeatureAlphaDropout, nn.RReLU, nn.FractionalMaxPool2d, nn.FractionalMaxPool3d)
_BATCH_NORMS = nn.modules.batchnorm._BatchNorm


def n_steps(n_members: int, batch_size: int) -> int:
    """Return the steps of an epoch: models of one stack need the same number."""
    return math.ceil(n_members / batch_size)


def reason_against(recipe: "TorchRecipe") -> str:
    """Return why models of a recipe cannot be stacked, in words; empty if they can, as far as their layers tell."""
    with torch.random.fork_rng(devices=[]):
        network = recipe.network()
        optimiser = recipe.optimiser(network.parameters())
    if type(optimiser) not in _ELEMENTWISE:
        return f"its optimiser {type(optimiser).__name__} does not treat every weight alone"
    for name, layer in network.named_modules():
        if isinstance(layer, _RANDOM):
            return f"layer {name} ({type(layer).__name__}) draws random numbers that a stack cannot give each model"
        if isinstance(layer, _BATCH_NORMS) and layer.momentum is None:
            return f"layer {name} ({type(layer).__name__}) averages over all batches, which a stack cannot"
        if next(layer.parameters(recurse=False), None) is not None and isinstance(layer, nn.RNNBase):
            return f"layer {name} ({type(layer).__name__}) has kernels that cannot be stacked"
    return ""


def train_stack(
    recipe: "TorchRecipe",
    records: Records,
    member: Bool[np.ndarray, "model record"],
    *,
    seeds: Sequence[int],
    validation: Records | None = None,
    checkpoints: Sequence[int] = (),
    device: str | None = None,
) -> list[Model | TrainingError]:
    """Train a model on each row of a membership matrix, all at once.

    Args:
        recipe: How.
        records: The pool.
        member: Which of its records each model is trained on; every row needs the same number of steps per epoch.
        seeds: Seed of each model.
        validation: Records for the stopping rule.
        checkpoints: Epochs after which copies are kept.
        device: Where to train; the processor if omitted.

    Returns:
        A model per row, or what was wrong with it; one that fails does not disturb the others.

    Raises:
        UnsupportedModelError: The network has something that cannot be stacked; the message says what.
        TrainingError: The outputs are not as wide as there are classes.

    Source:
        The mechanism is that of PyTorch's model ensembling (`torch.func.stack_module_state`, `vmap`).
    """
    check_options(recipe, validation, checkpoints)
    reason = reason_against(recipe)
    if reason:
        raise UnsupportedModelError(f"Expected a network that can be trained in a stack, found that {reason}.")
    device = device or "cpu"
    inputs, labels = tensors_of(records, device)
    held_out = None if validation is None else tensors_of(validation, device)
    stack = _Stack.of(recipe, member, seeds, device)
    done: list[Model | TrainingError | None] = [None] * len(seeds)
    for number in range(1, recipe.epochs + 1):
        losses = stack.epoch(inputs, labels, number, records.n_classes)
        accuracies = stack.accuracies(held_out)
        going = []
        for place, (run, loss, accuracy) in enumerate(zip(stack.runs, losses, accuracies, strict=True)):
            run.epochs.append(Epoch(loss, accuracy))
            error = stack.error_of(place, number)
            if error is not None:
                done[run.index] = error
                continue
            if number in checkpoints:
                run.kept[number] = stack.classifier_of(place).ready()
            if recipe.stop is not None and recipe.stop.best(run.epochs) == number:
                run.best = stack.classifier_of(place)
            if number == recipe.epochs or (recipe.stop is not None and recipe.stop.stops(run.epochs)):
                last = run.best or stack.classifier_of(place)
                done[run.index] = finished(recipe, last, run.epochs, run.kept, records.n_classes, run.seed)
                continue
            going.append(place)
        if not going:
            break
        if len(going) < len(stack.runs):
            stack = stack.only(going)
    return [model for model in done if model is not None]


@dataclass(eq=False)
class _OneRun:
    """One model of a stack: what is its own."""

    index: int
    seed: int
    template: Classifier
    rows: Tensor
    order: torch.Generator
    noise: torch.Generator
    dropout: torch.Generator
    epochs: list[Epoch]
    kept: dict[int, Classifier]
    best: Classifier | None = None


class _Stack:
    """The models still in training, their weights stacked along the first axis."""

    def __init__(
        self,
        recipe: "TorchRecipe",
        runs: list[_OneRun],
        weights: dict[str, Tensor],
        buffers: dict[str, Tensor],
        optimiser: torch.optim.Optimizer,
        rates: list[float],
    ) -> None:
        self.recipe, self.runs, self.weights, self.buffers = recipe, runs, weights, buffers
        self.optimiser, self.rates = optimiser, rates
        self.masks = Masks([run.dropout for run in runs])
        self.network = stacked_network(runs[0].template.network, self.masks)
        self.normalised = any(isinstance(m, _BATCH_NORMS) for m in runs[0].template.modules())

    @classmethod
    def of(cls, recipe: "TorchRecipe", member: np.ndarray, seeds: Sequence[int], device: str) -> "_Stack":
        """Start every model as `plain` does."""
        runs = [_started(recipe, i, seed, member[i], device) for i, seed in enumerate(seeds)]
        steps = {n_steps(run.rows.numel(), recipe.batch_size) for run in runs}
        if len(steps) > 1:
            raise UnsupportedModelError(f"Expected one number of steps per epoch in a stack, found {sorted(steps)}.")
        weights, buffers = stack_module_state([run.template.network for run in runs])
        weights = _leaves(stacked_network(runs[0].template.network, Masks([])).packed(weights))
        optimiser = _fused(recipe.optimiser(list(weights.values())))
        return cls(recipe, runs, weights, buffers, optimiser, [group["lr"] for group in optimiser.param_groups])

    def epoch(self, inputs: Tensor, labels: Tensor, number: int, n_classes: int) -> list[float]:
        """Train every model for an epoch; return the mean loss of each one's records."""
        size = self.recipe.batch_size
        orders = [run.rows[torch.randperm(run.rows.numel(), generator=run.order)] for run in self.runs]
        counts = torch.tensor([order.numel() for order in orders])
        steps = n_steps(int(counts.max()), size)
        rows = nn.utils.rnn.pad_sequence(orders, batch_first=True)
        total = torch.zeros(len(self.runs), dtype=torch.float64)
        for done in range(steps):
            if self.recipe.schedule is not None:
                factor = self.recipe.schedule(((number - 1) + done / steps) / self.recipe.epochs)
                set_rates(self.optimiser, self.rates, factor)
            there = (counts - done * size).clamp(0, size)
            batch = rows[:, done * size : (done + 1) * size]
            total += self._step(inputs[batch], labels[batch], there, n_classes) * there
        losses: list[float] = (total / counts).tolist()
        return losses

    def _step(self, inputs: Tensor, labels: Tensor, there: Tensor, n_classes: int) -> Tensor:
        """Take one step; `there` are the records of each model's batch, the rest is padding."""
        recipe, (n_models, width) = self.recipe, labels.shape
        full = int(there.min()) == width
        if self.normalised and not full:
            raise UnsupportedModelError("Expected batches of one size beside batch normalisation, found others.")
        prepared = torch.unflatten(recipe.preprocess(inputs.flatten(0, 1)), 0, (n_models, width))
        if recipe.augment is not None:
            parts = zip(prepared, there.tolist(), self.runs, strict=True)
            prepared = nn.utils.rnn.pad_sequence(
                [recipe.augment(x[:n], run.noise) for x, n, run in parts], batch_first=True
            )
        self.optimiser.zero_grad(set_to_none=True)
        self.masks.n_records = there.tolist()
        outputs = self.network.answers(self.weights, self.buffers, prepared, training=True).flatten(0, 1)
        check_width(outputs, n_classes)
        losses = recipe.loss(outputs, labels.flatten()).reshape(n_models, width)
        if not full:
            losses = losses * (torch.arange(width) < there[:, None]).to(losses)
        means = losses.sum(dim=1) / there.to(losses)
        means.sum().backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        return means.detach().cpu().double()

    @torch.no_grad()
    def accuracies(self, held_out: tuple[Tensor, Tensor] | None) -> list[float]:
        """Return the share of records each model classifies rightly, in evaluation mode."""
        if held_out is None:
            return [float("nan")] * len(self.runs)
        inputs, labels = held_out
        right = torch.zeros(len(self.runs), dtype=torch.int64)
        for x, y in zip(torch.split(inputs, 256), torch.split(labels, 256), strict=True):
            prepared = self.recipe.preprocess(x)
            shared = prepared.expand(len(self.runs), *prepared.shape)
            answers = self.network.answers(self.weights, self.buffers, shared, training=False)
            right += (answers.argmax(dim=2) == y).sum(dim=1).cpu()
        shares: list[float] = (right / labels.numel()).tolist()
        return shares

    def error_of(self, place: int, number: int) -> TrainingError | None:
        """Return what is wrong with a model's weights after an epoch, if anything."""
        try:
            check_finite(((name, t[place]) for name, t in (self.weights | self.buffers).items()), number)
        except TrainingError as error:
            return error
        return None

    def classifier_of(self, place: int) -> Classifier:
        """Return a model as it is now, apart from the stack."""
        classifier = copy.deepcopy(self.runs[place].template)
        one = {name: t[place].detach() for name, t in self.weights.items()}
        state = self.network.unpacked(one) | {name: t[place] for name, t in self.buffers.items()}
        classifier.network.load_state_dict(state, strict=False)  # buffers that are not kept stay as they were
        return classifier

    def only(self, places: list[int]) -> "_Stack":
        """Return the stack without the models that have ended."""
        keep = torch.tensor(places)
        weights = _leaves({name: w[keep] for name, w in self.weights.items()})
        optimiser = _fused(self.recipe.optimiser(list(weights.values())))
        for old, new in zip(self.weights.values(), weights.values(), strict=True):
            optimiser.state[new] = {
                name: value[keep] if isinstance(value, Tensor) and value.shape == old.shape else value
                for name, value in self.optimiser.state[old].items()
            }
        buffers = {name: b[keep] for name, b in self.buffers.items()}
        return _Stack(self.recipe, [self.runs[i] for i in places], weights, buffers, optimiser, self.rates)


def _started(recipe: "TorchRecipe", index: int, seed: int, row: np.ndarray, device: str) -> _OneRun:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(seed, "weights"))
        template = recipe.new_classifier().to(device)
        dropout = torch.Generator()
        dropout.set_state(torch.get_rng_state())  # plain training draws dropout where the weights' stream ends
    rows = torch.from_numpy(np.flatnonzero(row))
    streams = (generator_of(seed, "order"), generator_of(seed, "augment"))
    return _OneRun(index, seed, template, rows, *streams, dropout, [], {})


def _leaves(weights: Weights) -> Weights:
    return {name: w.detach().contiguous().requires_grad_(w.requires_grad) for name, w in weights.items()}


def _fused(optimiser: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """Let the optimiser pass over the weights once instead of once per operation, where it can."""
    if isinstance(optimiser, torch.optim.SGD | torch.optim.Adam):  # AdamW is an Adam
        for group in optimiser.param_groups:
            plain = not group.get("amsgrad") and not group.get("capturable") and not group.get("differentiable")
            if plain and group.get("fused") is None and group.get("foreach") is None:
                group["fused"] = True
    return optimiser
