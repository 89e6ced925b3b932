"""`TorchRecipe`: how a torch network is trained."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vestige.core.errors import InputError
from vestige.core.recipe import Hook, Model
from vestige.core.records import Records
from vestige.core.seeds import stream
from vestige.training.identity import identity_of, plain
from vestige.training.stopping import StopRule

Adam = functools.partial(torch.optim.Adam, lr=1e-3)


def as_float(inputs: Tensor) -> Tensor:
    """Turn inputs into what networks take: images of bytes into channels first in [0, 1], anything else into float32.

    Args:
        inputs: A batch; uint8 with 4 axes is taken as record x height x width x channel.
    """
    if inputs.dtype == torch.uint8 and inputs.ndim == 4:
        return inputs.permute(0, 3, 1, 2).to(torch.float32).div_(255)
    return inputs.to(torch.float32)


def cross_entropy(outputs: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy of every record [nats]."""
    return functional.cross_entropy(outputs, labels, reduction="none")


@dataclass(frozen=True)
class TorchRecipe:
    """A torch network and how it is trained.

    Data order, initial weights, dropout and augmentation have a random stream each, all of the model's own seed. The
    last batch of an epoch may be smaller; no record is dropped.

    Attributes:
        network: Makes an untrained network; called without arguments. It returns logits, never probabilities.
        epochs: Epochs of training; the most there can be, if there is a rule that stops earlier.
        batch_size: Records per step.
        optimiser: Makes an optimiser of parameters, such as `functools.partial(torch.optim.SGD, lr=0.1, momentum=0.9)`.
        schedule: From the share of all steps done, in [0, 1), to a factor of the learning rate; None keeps it.
        stop: When to stop earlier; None never does.
        augment: Changes a batch, after `preprocess`, in every step: `(inputs, generator) -> inputs`.
        loss: Loss of every record from logits and labels; its mean over a batch is minimised.
        preprocess: From inputs as they are in the records to what the network takes; part of the model, so that
            whoever asks it need not know.
        bfloat16: Whether training may be done in bfloat16 and channels-last where the processor has units for it. That
            changes the numbers within what another seed would.
        evaluation_mode: Whether the model answers in evaluation mode. False repeats published code that left it out:
            answers then depend on the other records asked at the same time.
        version: Whatever else decides the result and is to make it another recipe.

    Raises:
        InputError: A number is out of range.

    Example:
        >>> recipe = TorchRecipe(functools.partial(nn.Linear, 2, 2), epochs=3)
        >>> model = recipe.fit(Records(np.eye(2), [0, 1]), seed=0)
        >>> model.epoch, len(model.history["loss"])
        (3, 3)
    """

    network: Callable[[], nn.Module]
    _: KW_ONLY
    epochs: int
    batch_size: int = 128
    optimiser: Callable[[Any], torch.optim.Optimizer] = Adam
    schedule: Callable[[float], float] | None = None
    stop: StopRule | None = None
    augment: Callable[[Tensor, torch.Generator], Tensor] | None = None
    loss: Callable[[Tensor, Tensor], Tensor] = cross_entropy
    preprocess: Callable[[Tensor], Tensor] = as_float
    bfloat16: bool = False
    evaluation_mode: bool = True
    version: str = ""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise InputError(f"Expected at least 1 as {name}, found {getattr(self, name)}.")

    def fit(
        self,
        records: Records,
        *,
        seed: int,
        start: Model | None = None,
        validation: Records | None = None,
        checkpoints: Sequence[int] = (),
        hooks: Sequence[Hook] = (),
        device: str | None = None,
    ) -> Model:
        """Train one network; see `vestige.core.recipe.Recipe.fit`.

        `start` gives the weights; the optimiser and the schedule begin anew.
        """
        from vestige.training.plain import train

        return train(
            self, records, seed=seed, start=start, validation=validation, checkpoints=checkpoints, hooks=hooks,
            device=device,
        )  # fmt: skip

    def identity(self) -> Mapping[str, Any]:
        """Return everything that decides the model; see `vestige.core.recipe.Recipe.identity`."""
        functions = {
            name: None if (value := getattr(self, name)) is None else identity_of(value)
            for name in ("network", "optimiser", "schedule", "augment", "loss", "preprocess")
        }
        stop = None if self.stop is None else {type(self.stop).__name__: plain(vars(self.stop))}
        numbers = {name: getattr(self, name) for name in ("epochs", "batch_size", "bfloat16", "evaluation_mode")}
        return {"recipe": "torch", **functions, "stop": stop, **numbers, "version": self.version}

    def dump(self, model: Model) -> Mapping[str, bytes]:
        """Return the weights, also of the checkpoints, as safetensors and the rest as JSON."""
        from vestige.training.torch_files import dump

        return dump(model)

    def load(self, files: Mapping[str, bytes]) -> Model:
        """Return the model that `dump` gave these files for."""
        from vestige.training.torch_files import load

        return load(self, files)

    def new_classifier(self) -> "Classifier":
        """Return an untrained network with its preprocessing, from torch's global random stream."""
        return Classifier(self.network(), self.preprocess, self.evaluation_mode)


class Classifier(nn.Module):
    """A network that is given inputs as they are in the records and returns logits."""

    def __init__(
        self, network: nn.Module, preprocess: Callable[[Tensor], Tensor] = as_float, evaluation_mode: bool = True
    ) -> None:
        super().__init__()
        self.network = network
        self.preprocess = preprocess
        self.evaluation_mode = evaluation_mode

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logits of a batch."""
        logits: Tensor = self.network(self.preprocess(inputs))
        return logits

    def ready(self) -> "Classifier":
        """Return itself as it is to answer."""
        return self.train(not self.evaluation_mode).requires_grad_(False)


def tensors_of(records: Records, device: str) -> tuple[Tensor, Tensor]:
    """Return inputs, in their own type, and labels as tensors.

    Raises:
        InputError: The inputs are a DataFrame or no numbers.
    """
    if not isinstance(records.inputs, np.ndarray) or records.inputs.dtype.kind not in "biuf":
        raise InputError(
            "Expected inputs as an array of numbers for a torch network, found a DataFrame or text; encode the "
            "columns as numbers first, or train a scikit-learn Pipeline."
        )
    inputs = records.inputs.astype(np.float32) if records.inputs.dtype == np.float64 else records.inputs
    if inputs.dtype in (np.uint16, np.uint32, np.uint64):
        inputs = inputs.astype(np.float32)
    writable = inputs if inputs.flags.writeable and inputs.flags.c_contiguous else np.array(inputs)
    return torch.from_numpy(writable).to(device), torch.from_numpy(np.array(records.labels)).to(device)


def seed_of(seed: int, purpose: str) -> int:
    """Return the seed of one of a model's random streams."""
    return int(stream(seed, f"torch {purpose}").integers(2**62))


def generator_of(seed: int, purpose: str) -> torch.Generator:
    """Return one of a model's random streams; on the processor, so that every device draws the same numbers."""
    return torch.Generator().manual_seed(seed_of(seed, purpose))
