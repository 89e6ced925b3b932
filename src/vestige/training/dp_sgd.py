"""DP-SGD: records' gradients are clipped, noise is added to their sum, and an accountant says what that promises."""

import copy
import math
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import KW_ONLY, dataclass, replace
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from vestige.core.errors import InputError
from vestige.gradients.by_layer import Indivisible, calls_of_layers, squares_of_layer
from vestige.training.accounting import Privacy, epsilon_of, gaussian_epsilon_of, n_epochs_within, noise_for
from vestige.training.classifier import Classifier, generator_of, global_stream, trained_weights
from vestige.training.defences import Defence

if TYPE_CHECKING:
    from vestige.training.torch_recipe import TorchRecipe

_LEAST_NOISE = 0.05  # below it, the accountant's numbers are too large to be written
_TRIED = 8  # records on which a network is tried before it is trained
_ROUNDING = 1e-4

Calls = list[tuple[nn.Module, Tensor, Any]] | None
"""What every layer was given and where the gradient in its outputs will pass; None for a record at a time."""


class Sampling(StrEnum):
    """How the records of a step of DP-SGD are drawn.

    Attributes:
        POISSON: Each by a coin of its own, as the accountant presumes; a step may have none.
        SHUFFLED: An epoch goes through all of them, as in much published code, which accounts for them as if by coin.
    """

    POISSON = "drawn by Poisson sampling"
    SHUFFLED = "shuffled, but accounted for as if drawn by Poisson sampling"


@dataclass(frozen=True)
class DPSGD(Defence):
    """Differentially private training: clipped gradients of records, and noise on their sum.

    Noise alone: the recipe's `privacy` reports epsilon. Epsilon alone: the noise is found, within 1 percent. Both:
    training ends with the last epoch that stays below epsilon, or with the recipe's epochs. A batch's sum is divided by
    the recipe's batch size, whatever its own is: a number that followed that of the records would tell of one more.

    Attributes:
        clip: The most a record's gradient may be, as the norm over all weights that are trained.
        noise: Standard deviation of the noise on the sum, in units of the clip; 0 is no defence.
        epsilon: The most that the training may spend [nats].
        delta: For which epsilon holds; 1 over the number of records if omitted.
        sampling: How the records of a step are drawn.

    Raises:
        InputError: A number is out of range, or neither noise nor epsilon is given.

    Example:
        >>> DPSGD(1.0, noise=1.1, delta=1e-5).privacy(n_records=1_000, share=0.1, n_steps=100).epsilon.__round__(1)
        6.6

    Source:
        Abadi et al. 2016, algorithm 1; clipping by weights of losses as Lee & Kifer 2021. The noise is torch's, from
        the seed of the training: no cryptographic one, and floating-point numbers are taken as if they were exact.
    """

    not_in_stacks: ClassVar[str] = "DP-SGD clips the gradient of each record of each model"

    clip: float
    _: KW_ONLY
    noise: float | None = None
    epsilon: float | None = None
    delta: float | None = None
    sampling: Sampling = Sampling.POISSON

    def __post_init__(self) -> None:
        if not self.clip > 0 or (math.isinf(self.clip) and self.noise != 0):
            raise InputError(f"Expected a clip above 0 for DP-SGD, finite with noise, found {self.clip:g}.")
        if self.noise is None and self.epsilon is None:
            raise InputError("Expected noise or epsilon for DP-SGD, found neither; give DPSGD(clip, noise=1.0).")
        if self.noise is not None and self.noise != 0 and not _LEAST_NOISE <= self.noise < math.inf:
            raise InputError(
                f"Expected noise of {_LEAST_NOISE:g} clips or more for DP-SGD, or 0 for none, found {self.noise:g}."
            )
        if self.epsilon is not None and not 0 < self.epsilon < math.inf:
            raise InputError(
                f"Expected a finite epsilon above 0 for DP-SGD, found {self.epsilon:g}; leave DP-SGD out for none."
            )
        if self.delta is not None and not 0 < self.delta < 1:
            raise InputError(
                f"Expected a delta between 0 and 1 for DP-SGD, found {self.delta:g}; leave it out for 1/n."
            )

    def settled(self, n_records: int, share: float, n_steps: int, epochs: int) -> tuple["DPSGD", int]:
        """Return itself with its noise and delta, and how many epochs to train.

        Args:
            n_records: To train on.
            share: Of them in a step, expected.
            n_steps: Steps of an epoch.
            epochs: Those of the recipe.

        Raises:
            InputError: Epsilon cannot be reached.
        """
        delta = 1 / max(n_records, 2) if self.delta is None else self.delta
        if self.noise is None:
            assert self.epsilon is not None
            noise = noise_for(self.epsilon, share, n_steps * epochs, delta)
        else:
            noise = self.noise
            if self.epsilon is not None:
                epochs = n_epochs_within(self.epsilon, noise, share, n_steps, delta, epochs)
        return replace(self, noise=noise, epsilon=None, delta=delta), epochs

    def privacy(self, n_records: int, share: float, n_steps: int) -> Privacy:
        """Return what a training with this noise promises.

        Args:
            n_records: It was trained on.
            share: Of them in a step, expected.
            n_steps: Steps of the whole training.
        """
        noise, delta = self.noise or 0.0, self.delta or 1 / max(n_records, 2)
        return Privacy(
            epsilon=epsilon_of(noise, share, n_steps, delta),
            delta=delta,
            gaussian_epsilon=gaussian_epsilon_of(noise, share, n_steps, delta),
            clip=self.clip,
            noise=noise,
            share=share,
            n_steps=n_steps,
            sampling=str(self.sampling),
        )

    def batches(self, n: int, n_steps: int, size: int, order: torch.Generator) -> Iterator[Tensor]:
        """Yield the records of each step of an epoch by Poisson sampling; a step may have none."""
        for _ in range(n_steps):
            yield torch.nonzero(torch.rand(n, generator=order, dtype=torch.float64) < size / n).flatten()


class PrivateGradients:
    """The clipped and noisy gradients of one training.

    Args:
        defence: With its noise.
        n_expected: What the sum of a step is divided by: records of a step, expected where there are enough.
        noise: Random stream of the noise.
        by_layer: Whether the norms of a batch's gradients can be had at once, rather than record by record.
    """

    def __init__(self, defence: DPSGD, n_expected: int, noise: torch.Generator, by_layer: bool) -> None:
        self.defence, self.n_expected, self.noise, self.by_layer = defence, n_expected, noise, by_layer

    @classmethod
    def of(
        cls, recipe: "TorchRecipe", defence: DPSGD, classifier: Classifier, inputs: Tensor, labels: Tensor, seed: int
    ) -> "PrivateGradients":
        """Try a copy of the network on a few records; return what its training needs.

        Raises:
            InputError: What a record loses depends on the others, or the network keeps what it has seen.
        """
        trial = copy.deepcopy(classifier.network).train()
        some, few_labels = inputs[:_TRIED], labels[:_TRIED]
        _check_alone(recipe, trial, some, few_labels)
        with global_stream(0, str(inputs.device)):
            by_layer = _agree(recipe, trial, some, few_labels)
        return cls(defence, recipe.batch_size, generator_of(seed, "noise of gradients"), by_layer)

    def watched(self, network: nn.Module, n_records: int) -> Any:
        """Return the context in which the network is to answer a batch; it gives the calls of its layers."""
        return calls_of_layers(network, n_records) if self.by_layer else nullcontext(None)

    def mean_of(self, losses: Tensor, calls: Calls, network: nn.Module) -> Tensor:
        """Return the sum of losses, each weighted so that its gradient is clipped, over the expected batch size."""
        squares = _squares(losses, calls, network)
        weights = (self.defence.clip / squares.sqrt()).clamp(max=1.0)
        return (losses * weights.to(losses)).sum() / self.n_expected

    @torch.no_grad()
    def add_noise(self, network: nn.Module) -> None:
        """Add noise to the gradients of all weights that are trained; those of a batch without records are 0."""
        scale = (self.defence.noise or 0.0) * self.defence.clip / self.n_expected if self.defence.noise else 0.0
        for weight in trained_weights(network):
            drawn = scale * torch.randn(weight.shape, generator=self.noise, dtype=weight.dtype).to(weight.device)
            weight.grad = drawn if weight.grad is None else weight.grad + drawn


def _squares(losses: Tensor, calls: Calls, network: nn.Module) -> Tensor:
    """Squared norm of the gradient of each loss in all weights that are trained; the graph is kept."""
    squares = torch.zeros(len(losses), dtype=torch.float64, device=losses.device)
    if calls is None:
        weights = trained_weights(network)
        for i, loss in enumerate(losses):
            gradients = torch.autograd.grad(loss, weights, retain_graph=True, materialize_grads=True)
            squares[i] = torch.stack([g.double().square().sum() for g in gradients]).sum()
        return squares
    trained = [call for call in calls if any(w.requires_grad for w in call[0].parameters())]
    edges = [edge for _, _, edge in trained]
    gradients = torch.autograd.grad(losses.sum(), edges, retain_graph=True, allow_unused=True)
    for (layer, given, _), gradient in zip(trained, gradients, strict=True):
        if gradient is not None:
            squares += squares_of_layer(layer, given, gradient)
    return squares


def _agree(recipe: "TorchRecipe", network: nn.Module, inputs: Tensor, labels: Tensor) -> bool:
    """Whether the norms of a few records by layer are those record by record.

    They are not if a parameter is used outside of its layer, or twice, or is one of a layer that is trained in part.
    """
    try:
        with calls_of_layers(network, len(labels)) as calls:
            outputs = network(recipe.preprocess(inputs.clone()))
        losses = recipe.loss(outputs, labels)
        fast, plain = (_squares(losses, way, network) for way in (calls, None))
    except (Indivisible, RuntimeError):
        return False
    return torch.allclose(fast, plain, rtol=_ROUNDING, atol=0.0)


@torch.no_grad()
def _check_alone(recipe: "TorchRecipe", network: nn.Module, inputs: Tensor, labels: Tensor) -> None:
    n, rows = (len(labels) + 1) // 2, torch.arange(len(labels), device=labels.device)
    before = [buffer.clone() for buffer in network.buffers()]
    others = torch.where(rows < n, rows, 0)
    first, second = (_losses(recipe, network, inputs[some], labels[some])[:n] for some in (rows, others))
    same = torch.allclose(first, second, _ROUNDING, _ROUNDING * float(first.abs().max()), equal_nan=True)
    kept = all(map(partial(torch.allclose, equal_nan=True), before, network.buffers()))
    if not (same and kept):
        kind = nn.modules.batchnorm._BatchNorm
        norms = {type(m).__name__ for m in network.modules() if isinstance(m, kind) and m.training}
        found = f"{norms.pop()} in it" if norms else "other records matter" if not same else "buffers that change"
        raise InputError(
            f"Expected a network, augmentation and loss that treat every record alone for DP-SGD, found {found}; take "
            "group normalisation (nn.GroupNorm) instead of batch normalisation."
        )


def _losses(recipe: "TorchRecipe", network: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    """As in training, with the same draws for the same number of records."""
    with global_stream(0, str(inputs.device)):
        prepared = recipe.preprocess(inputs)
        if recipe.augment is not None:
            prepared = recipe.augment(prepared, generator_of(0, "augment"))
        return recipe.losses(network(prepared), labels, None, 0)
