"""Trains many small torch models as one: their weights are stacked, so one call does the work of many.

Each model keeps its own records, data order, initial weights, dropout and augmentation, so that a stack gives the
models that `plain` would give one by one, to rounding.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor, nn
from torch.func import stack_module_state

from vestige.core.errors import InputError, TrainingError, UnsupportedModelError
from vestige.core.recipe import Model
from vestige.core.records import Records
from vestige.training.classifier import (
    Classifier,
    as_float,
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
from vestige.training.defences import Data, Defence
from vestige.training.plain import (
    ANSWER_BATCH,
    Course,
    State,
    batch_of,
    check_options,
    held_out_of,
    set_rates,
    share_of_commonest,
)
from vestige.training.pretrained import Still
from vestige.training.stacked_layers import Direct, Masks, Weights, sees_others, stacked_network
from vestige.training.stopping import Epoch

if TYPE_CHECKING:
    from vestige.training.torch_recipe import TorchRecipe

_ELEMENTWISE = (
    torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.Adamax, torch.optim.NAdam, torch.optim.RAdam,
    torch.optim.RMSprop, torch.optim.Adagrad, torch.optim.Adadelta,
)  # fmt: skip
"""Optimisers whose step treats every weight alone, so that stacked weights move as they would apart."""

_RANDOM = (nn.AlphaDropout, nn.FeatureAlphaDropout, nn.RReLU, nn.FractionalMaxPool2d, nn.FractionalMaxPool3d)
_BATCH_NORMS = nn.modules.batchnorm._BatchNorm


def reason_against(recipe: "TorchRecipe") -> str:
    """Return why models of a recipe cannot be stacked, in words; empty if they can, as far as their layers tell."""
    for defence in recipe.defences:
        if defence.not_in_stacks or type(defence).turns is not Defence.turns:
            return defence.not_in_stacks or f"{type(defence).__name__} takes the batches in turns of its own"
    with torch.random.fork_rng(devices=[]):
        network = recipe.network()
        optimiser = recipe.optimiser(trained_weights(network))
    return reason_against_network(network, optimiser)


def reason_against_network(network: nn.Module, optimiser: torch.optim.Optimizer) -> str:
    """Return why networks like this one cannot be stacked under such an optimiser, in words; empty if they can."""
    return next((words for is_so, words in _reasons(network, optimiser) if is_so), "")


def _reasons(network: nn.Module, optimiser: torch.optim.Optimizer) -> Iterator[tuple[Any, str]]:
    """What would keep models from being stacked, and whether it is there."""
    kind = f"its optimiser {type(optimiser).__name__}"
    yield type(optimiser) not in _ELEMENTWISE, f"{kind} does not treat every weight alone"
    hooks: Any = optimiser._optimizer_step_pre_hooks or optimiser._optimizer_step_post_hooks
    yield hooks, f"{kind} has hooks, which would see all models at once"
    for name, weight in network.named_parameters():
        hooks = weight._backward_hooks or getattr(weight, "_post_accumulate_grad_hooks", None)
        yield hooks, f"weight {name} has hooks on its gradient, which stacked weights would not have"
    for name, layer in network.named_modules():
        which = f"layer {name} ({type(layer).__name__})"
        yield "forward" in vars(layer), f"{which} has a forward of its own, perhaps with another one's weights"
        yield isinstance(layer, _RANDOM), f"{which} draws random numbers that a stack cannot give each model"
        averages = isinstance(layer, _BATCH_NORMS) and layer.momentum is None
        yield averages, f"{which} averages over all batches, which a stack cannot"
        recurrent = next(layer.parameters(recurse=False), None) is not None and isinstance(layer, nn.RNNBase)
        yield recurrent, f"{which} has kernels that cannot be stacked"


def train_stack(
    recipe: "TorchRecipe",
    records: Records,
    member: Bool[np.ndarray, "model record"],
    *,
    seeds: Sequence[int],
    validation: Records | None = None,
    checkpoints: Sequence[int] = (),
    device: str | None = None,
    left_out: Sequence[int] | None = None,
) -> list[Model | TrainingError]:
    """Train a model on each row of a membership matrix, all at once.

    Args:
        recipe: How.
        records: The pool.
        member: Which of its records each model is trained on; every row needs the same number of steps per epoch.
        seeds: Seed of each model.
        validation: Records for the stopping rule.
        checkpoints: Epochs after which copies are kept.
        device: Where to train; as `device_of` if omitted.
        left_out: A record of each model that its batches give no weight, -1 for none. It keeps its place in them: the
            order, dropout and augmentation of all other records are those of a model that is trained on it.

    Returns:
        A model per row, or its error; a failing model does not affect the others.

    Raises:
        InputError: The membership matrix does not suit the records or the seeds, or an option the recipe.
        UnsupportedModelError: The network has something that cannot be stacked; the message says what.
        TrainingError: The outputs are not as wide as there are classes.

    Source:
        The mechanism is that of PyTorch's model ensembling (`torch.func.stack_module_state`, `vmap`).
    """
    check_options(recipe, validation, checkpoints)
    reason = reason_against(recipe)
    if reason:
        raise UnsupportedModelError(f"Expected a network that can be trained in a stack, found that {reason}.")
    _check_member(member, records, seeds)
    device = device_of(device)
    inputs, labels = recipe.enlarged(*tensors_of(records, device))
    data = inputs, labels, recipe.imitated(records, device)
    held_out = held_out_of(recipe, validation, device)
    with naming_failures("models that can be trained in a stack", "train them one by one", UnsupportedModelError):
        stack = Stack.of(recipe, [_started(recipe, i, s, member[i], checkpoints, device) for i, s in enumerate(seeds)])
        if left_out is not None:
            stack.leave_out(left_out, records.n_records)
        stack.check_records_alone(inputs)
        done: dict[int, Model | TrainingError] = {}
        going = list(range(len(seeds)))
        while going:
            if len(going) < len(stack.runs):
                stack = stack.only(going)
            losses, accuracies = stack.epoch(data, records.n_classes), stack.accuracies(held_out)
            epochs = map(Epoch, losses, accuracies, repeat(share_of_commonest(held_out)))
            ended = list(map(stack.ended, range(len(stack.runs)), epochs, repeat(records.n_classes)))
            done |= {run.index: end for run, end in zip(stack.runs, ended, strict=True) if end is not None}
            going = [place for place, end in enumerate(ended) if end is None]
    return [done[i] for i in range(len(seeds))]


def _check_member(member: np.ndarray, records: Records, seeds: Sequence[int]) -> None:
    if member.shape != (len(seeds), records.n_records) or not len(seeds):
        raise InputError(
            f"Expected a membership matrix of {len(seeds)} models x {records.n_records:,} records, and a model at "
            f"least, found shape {member.shape}; give a row per seed and a column per record."
        )
    empty = np.flatnonzero(~member.any(axis=1))
    if empty.size:
        raise InputError(f"Expected a record for every model, found none for model {empty[0]}.")


@dataclass(kw_only=True, eq=False)
class _OneRun:
    """What belongs to one model of a stack."""

    index: int
    seed: int
    template: Classifier
    rows: Tensor
    n_used: int
    order: torch.Generator
    noise: torch.Generator
    dropout: torch.Generator
    course: Course
    left_out: int = -1

    def augmented(self, augment: Callable[[Tensor, torch.Generator], Tensor], inputs: Tensor) -> Tensor:
        """Augment a batch; torch's global stream has the state that it would have in `plain`."""
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(self.dropout.get_state())
            changed = augment(inputs, self.noise)
            self.dropout.set_state(torch.get_rng_state())
        return changed


class Stack:
    """The models still in training, their weights stacked along the first axis."""

    def __init__(
        self,
        recipe: "TorchRecipe",
        runs: list[_OneRun],
        weights: dict[str, Tensor],
        buffers: dict[str, Tensor],
        optimiser: torch.optim.Optimizer,
        rates: Sequence[float | Tensor],
    ) -> None:
        self.recipe, self.runs, self.weights, self.buffers = recipe, runs, weights, buffers
        self.optimiser, self.rates = optimiser, rates
        self.masks = Masks([run.dropout for run in runs])
        self.network = stacked_network(runs[0].template.network, self.masks)
        self.penalty = recipe.penalty_on(runs[0].template.network)
        self.n_records = 0

    def leave_out(self, records: Sequence[int], n_records: int) -> None:
        """Give one record of each model no weight; `n_records` are in the pool."""
        self.n_records = n_records
        for run, record in zip(self.runs, records, strict=True):
            run.left_out = record

    @classmethod
    def of(cls, recipe: "TorchRecipe", runs: list[_OneRun]) -> "Stack":
        """Stack models that have been started."""
        steps = {-(-run.n_used // recipe.batch_size) for run in runs}
        if len(steps) > 1:
            raise UnsupportedModelError(f"Expected one number of steps per epoch in a stack, found {sorted(steps)}.")
        networks = [run.template.network for run in runs]
        packed = stacked_network(networks[0], Masks([])).packed
        weights, buffers, optimiser = stacked_weights(networks, recipe.optimiser, packed)
        return cls(recipe, runs, weights, buffers, optimiser, [group["lr"] for group in optimiser.param_groups])

    def check_records_alone(self, inputs: Tensor) -> None:
        """Refuse a recipe with which records of other models, or padding, would affect a model.

        Raises:
            UnsupportedModelError: Preprocessing looks at the whole batch, or the network does and would see padding.
        """
        run, preprocess = self.runs[0], self.recipe.preprocess
        some = inputs[run.rows[: min(self.recipe.batch_size, 32)]]
        if preprocess is not as_float and sees_others(preprocess, some):
            raise UnsupportedModelError("Expected preprocessing of each record alone, found that it depends on others.")
        is_even = len({r.n_used for r in self.runs}) == 1 and not self.n_records
        if is_even or isinstance(self.network, Direct):
            return
        if any(
            isinstance(layer, _BATCH_NORMS) and not isinstance(layer, Still) for layer in run.template.modules()
        ) or sees_others(run.template, some):
            raise UnsupportedModelError(
                "Expected as many records for each model of a stack, because its network looks at the whole batch as "
                "batch normalisation does, found other numbers or records without weight; train the models one by one."
            )

    def epoch(self, data: Data, n_classes: int) -> list[float]:
        """Train every model for an epoch; return the mean loss of each one's records."""
        size, n_before = self.recipe.batch_size, self.runs[0].course.n_epochs
        orders = [run.rows[torch.randperm(run.rows.numel(), generator=run.order)[: run.n_used]] for run in self.runs]
        counts = torch.tensor([run.n_used for run in self.runs])
        steps = -(-int(counts.max()) // size)
        rows = _filled_up(orders).to(data[0].device)  # `index_select` asks for indices beside what they index
        total, n_seen = torch.zeros(len(self.runs), dtype=torch.float64), torch.zeros_like(counts)
        for done, number in enumerate(self.recipe.turns_of_stack(self, data, n_before, steps)):
            if self.recipe.schedule is not None:
                factor = self.recipe.schedule((n_before + done / steps) / self.recipe.epochs)
                set_rates(self.optimiser, self.rates, factor)
            there = (counts - number * size).clamp(0, size)
            batch = rows[:, number * size : (number + 1) * size]
            weighed = self._weighed(batch, there)
            n_weighed = weighed.sum(dim=1)
            parts = batch_of(data, partial(taken, rows=batch))
            total, n_seen = total + self._step(parts, there, weighed, n_classes) * n_weighed, n_seen + n_weighed
        floats = [t for t in (*self.weights.values(), *self.buffers.values()) if t.is_floating_point()]
        self.finite = all(bool(t.isfinite().all()) for t in floats)  # then no model need be looked at alone
        losses: list[float] = (total / n_seen.clamp(min=1)).tolist()
        return losses

    def _weighed(self, batch: Tensor, there: Tensor) -> Tensor:
        """Which records of the models' batches count: no padding, and none that is left out."""
        counts = torch.arange(batch.shape[1]) < there[:, None]
        if not self.n_records:
            return counts
        left_out = torch.tensor([[run.left_out] for run in self.runs])
        return counts & (batch.cpu() % self.n_records != left_out)

    def _step(self, data: Data, there: Tensor, weighed: Tensor, n_classes: int) -> Tensor:
        """Take one step; `there` are the records of each model's batch, the rest is padding; `weighed` count."""
        inputs, labels, answers = data
        recipe, (n_models, width) = self.recipe, labels.shape
        prepared = self._prepared(inputs)
        if recipe.augment is not None:
            parts = zip(prepared, there.tolist(), self.runs, strict=True)
            prepared = _filled_up([run.augmented(recipe.augment, x[:n]) for x, n, run in parts])
        self.optimiser.zero_grad(set_to_none=True)
        self.masks.of_batch(prepared, there.tolist())
        outputs = self.network.answers(self.weights, self.buffers, prepared, training=True)
        outputs = outputs.flatten(0, 1)
        check_width(outputs, n_models * width, n_classes)
        flat = None if answers is None else answers.flatten(0, 1)
        losses = recipe.losses(outputs, labels.flatten(), flat, self.runs[0].course.n_epochs)
        losses = losses.reshape(n_models, width)
        if not bool(weighed.all()):
            losses = losses * weighed.to(losses)
        means = losses.sum(dim=1) / weighed.sum(dim=1).clamp(min=1).to(losses)
        if self.penalty is not None:
            means = means + self.penalty(self.weights)
        means.sum().backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        return means.detach().cpu().double()

    def _prepared(self, inputs: Tensor) -> Tensor:
        return torch.unflatten(self.recipe.preprocess(inputs.flatten(0, 1)), 0, inputs.shape[:2])

    @torch.no_grad()
    def answers(self, inputs: Tensor) -> Tensor:
        """Return model x record x class logits of inputs, model x record x ..., in evaluation mode."""
        return self.network.answers(self.weights, self.buffers, self._prepared(inputs), training=False)

    def ended(self, place: int, epoch: Epoch, n_classes: int) -> Model | TrainingError | None:
        """Note how a model did in an epoch; return what became of it if that was its last one."""
        run, state = self.runs[place], partial(self.state_of, place)
        try:
            if not self.finite:
                weights, buffers = _at(place, self.weights), _at(place, self.buffers)
                check_finite(weights.items(), buffers.items(), run.course.n_epochs + 1)
        except TrainingError as error:
            return error
        return (
            None if run.course.goes_on(epoch, state) else run.course.model(run.template, state(), n_classes, run.seed)
        )

    @torch.no_grad()
    def accuracies(self, held_out: tuple[Tensor, Tensor] | None) -> list[float]:
        """Return the share of records each model classifies rightly, in evaluation mode."""
        if held_out is None:
            return [float("nan")] * len(self.runs)
        inputs, labels = held_out
        right = torch.zeros(len(self.runs), dtype=torch.int64)
        for x, y in zip(torch.split(inputs, ANSWER_BATCH), torch.split(labels, ANSWER_BATCH), strict=True):
            prepared = self.recipe.preprocess(x.clone())
            shared = prepared.repeat(len(self.runs), *([1] * prepared.ndim))  # a network may change it in place
            answers = self.network.answers(self.weights, self.buffers, shared, training=False)
            right += (answers.argmax(dim=2) == y).sum(dim=1).cpu()
        shares: list[float] = (right.double() / labels.numel()).tolist()
        return shares

    def state_of(self, place: int) -> State:
        """Return a copy of a model's weights and buffers."""
        state = self.network.unpacked(_at(place, self.weights)) | _at(place, self.buffers)
        return {name: tensor.clone() for name, tensor in state.items()}

    def only(self, places: list[int]) -> "Stack":
        """Return the stack without the models that have ended."""
        keep = torch.tensor(places)
        weights, optimiser = kept_weights(self.weights, self.optimiser, keep)
        buffers = {name: b[keep] for name, b in self.buffers.items()}
        smaller = Stack(self.recipe, [self.runs[i] for i in places], weights, buffers, optimiser, self.rates)
        smaller.n_records = self.n_records
        return smaller


def stacked_weights(
    networks: Sequence[nn.Module],
    make: Callable[[Any], torch.optim.Optimizer],
    packed: Callable[[Weights], Weights] = lambda weights: weights,
) -> tuple[Weights, Weights, torch.optim.Optimizer]:
    """Return the weights and buffers of several networks, models first, and an optimiser that moves them all.

    Args:
        networks: Alike.
        make: Makes the optimiser of one of them.
        packed: Brings weights into the layout in which they are trained.
    """
    weights, buffers = stack_module_state(list(networks))
    weights = _leaves(packed(weights))
    # Made for one model's weights, because it may treat them by their number of axes.
    optimiser = make(trained_weights(networks[0]))
    pairs = [(w, weights[name]) for name, w in networks[0].named_parameters() if w.requires_grad]
    return weights, buffers, _fused(_for_others(optimiser, pairs))


def kept_weights(
    weights: Weights, optimiser: torch.optim.Optimizer, keep: Tensor
) -> tuple[Weights, torch.optim.Optimizer]:
    """Return the weights of some models of a stack, and the optimiser that goes on with them."""
    kept = _leaves({name: w[keep] for name, w in weights.items()})
    pairs = list(zip(weights.values(), kept.values(), strict=True))
    other = _for_others(optimiser, pairs)
    for old, new in pairs:
        other.state[new] = {
            name: value[keep] if isinstance(value, Tensor) and value.shape == old.shape else value
            for name, value in optimiser.state[old].items()
        }
    return kept, other


def taken(pool: Tensor, rows: Tensor) -> Tensor:
    """Rows of the pool, models first; `index_select` copies whole rows, which indexing does number by number."""
    return torch.unflatten(pool.index_select(0, rows.flatten()), 0, rows.shape)


def _at(place: int, stacked: Weights) -> Weights:
    return {name: tensor[place].detach() for name, tensor in stacked.items()}


def _filled_up(parts: list[Tensor]) -> Tensor:
    """Stack batches of different sizes, each padded with its own first row, never with another model's."""
    width = max(map(len, parts))
    return torch.stack([torch.cat([p, p[:1].expand(width - len(p), *p.shape[1:])]) for p in parts])


def _started(
    recipe: "TorchRecipe", index: int, seed: int, row: np.ndarray, checkpoints: Sequence[int], device: str
) -> _OneRun:
    """A model with the start that it has in `plain`."""
    with global_stream(seed_of(seed, "weights")):
        template = recipe.new_classifier().to(device)
        dropout = torch.Generator()
        dropout.set_state(torch.get_rng_state())  # plain training draws dropout where the weights' stream ends
    rows, n_records = torch.from_numpy(np.flatnonzero(row)), len(row)
    n_used = recipe.n_used(rows.numel())
    rows = torch.cat([rows + copy * n_records for copy in range(recipe.n_copies)])  # as `enlarged` has them
    return _OneRun(
        index=index,
        seed=seed,
        template=template,
        rows=rows,
        n_used=n_used,
        order=generator_of(seed, "order"),
        noise=generator_of(seed, "augment"),
        dropout=dropout,
        course=Course(recipe, checkpoints),
    )


def _leaves(weights: Weights) -> Weights:
    return {name: w.detach().contiguous().requires_grad_(w.requires_grad) for name, w in weights.items()}


def _for_others(optimiser: torch.optim.Optimizer, pairs: Sequence[tuple[Tensor, Tensor]]) -> torch.optim.Optimizer:
    """Return a new optimiser with the same settings and no state, for the second weights of each pair."""
    other = {id(old): new for old, new in pairs}
    groups = [{**group, "params": [other[id(w)] for w in group["params"]]} for group in optimiser.param_groups]
    kind = type(optimiser)
    takes = inspect.signature(kind).parameters
    defaults = {name: value for name, value in optimiser.defaults.items() if name in takes}
    return kind(groups, **defaults)


def _fused(optimiser: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """Let the optimiser pass over the weights once instead of once per operation, where it can."""
    if isinstance(optimiser, torch.optim.SGD | torch.optim.Adam):  # AdamW is an Adam
        for group in optimiser.param_groups:
            plain = not group.get("amsgrad") and not group.get("capturable") and not group.get("differentiable")
            if plain and group.get("fused") is None and group.get("foreach") is None:
                group["fused"] = True
    return optimiser
