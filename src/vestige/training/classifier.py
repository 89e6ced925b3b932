"""What all ways of training a torch network share: inputs as tensors, the classifier, random streams, checks."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vestige.core.errors import InputError, TrainingError, VestigeError
from vestige.core.messages import brief, few
from vestige.core.records import Records
from vestige.core.seeds import stream


def as_float(inputs: Tensor) -> Tensor:
    """Turn inputs into what networks take: images of bytes into channels first in [0, 1], anything else into float32.

    Args:
        inputs: A batch; uint8 with 4 axes is taken as record x height x width x channel.
    """
    if inputs.dtype == torch.uint8 and inputs.ndim == 4:
        return inputs.permute(0, 3, 1, 2).to(torch.float32).div_(255)
    return inputs.to(torch.float32)


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
        """Return itself, ready to answer: in its mode, with frozen weights."""
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
    found = records.inputs.dtype
    wide = found.itemsize > (1 if found.kind == "u" else 4) and found.kind in "uf"  # torch has few of these, or none
    dtype = np.dtype(np.float32) if wide else found.newbyteorder("=")
    inputs = np.require(records.inputs, dtype, ["C_CONTIGUOUS", "WRITEABLE"])
    return torch.from_numpy(inputs).to(device), torch.from_numpy(np.array(records.labels)).to(device)


def device_of(device: str | None) -> str:
    """Return the device to train on; if none is named, the graphics card if torch sees one, else the processor.

    An environment variable of CUDA hides the cards from torch: `CUDA_VISIBLE_DEVICES=""`.

    The device is no part of a `ModelKey`, as the strategy is none: on another one the same data order and initial
    weights give the same model to rounding, or, with dropout outside of stacks, what another seed would give.

    Raises:
        InputError: Torch has no such device here.
    """
    name = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = brief(str(error), 120)
        raise InputError(f"Expected a device that torch has here, such as cpu, found {name}: {reason}") from None
    return name


def seed_of(seed: int, purpose: str) -> int:
    """Return the seed of one of a model's random streams."""
    return int(stream(seed, f"torch {purpose}").integers(2**62))


def generator_of(seed: int, purpose: str) -> torch.Generator:
    """Return one of a model's random streams; on the processor, so that every device draws the same numbers."""
    return torch.Generator().manual_seed(seed_of(seed, purpose))


@contextmanager
def global_stream(seed: int, device: str = "cpu") -> Iterator[None]:
    """Seed torch's global generators for a block, and restore their state afterwards."""
    on_cuda = torch.device(device).type == "cuda"
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if on_cuda else []):
        # Seeding every device, as torch.manual_seed does, would change those that were not asked for.
        torch.default_generator.manual_seed(seed)
        if on_cuda:
            torch.cuda.manual_seed_all(seed)
        yield


def trained_weights(network: nn.Module) -> list[nn.Parameter]:
    """Return the weights that an optimiser is given: those that are not frozen."""
    return [weight for weight in network.parameters() if weight.requires_grad]


def check_width(outputs: Any, n_records: int, n_classes: int) -> None:
    """Refuse a network whose outputs are not one logit per record and class.

    Raises:
        TrainingError: They are not.
    """
    if not isinstance(outputs, Tensor):
        raise TrainingError(
            f"Expected logits as one tensor, found {type(outputs).__name__}; let the network return its logits alone."
        )
    if outputs.shape != (n_records, n_classes):
        raise TrainingError(
            f"Expected {n_classes} logits per record, one per class, found outputs of shape {tuple(outputs.shape)} "
            f"for {n_records:,} records; give the network as many outputs as there are classes."
        )


def check_losses(losses: Any, n_records: int) -> None:
    """Refuse a loss that is not one number per record.

    Raises:
        TrainingError: It is not.
    """
    if not isinstance(losses, Tensor) or losses.shape != (n_records,):
        found = f"shape {tuple(losses.shape)}" if isinstance(losses, Tensor) else type(losses).__name__
        raise TrainingError(
            f"Expected a loss for each of {n_records:,} records, found {found}; let the loss take no mean or sum over "
            'records (reduction="none").'
        )


def check_finite(weights: Iterable[tuple[str, Tensor]], buffers: Iterable[tuple[str, Tensor]], epoch: int) -> None:
    """Refuse weights that are not finite, and buffers that are NaN; a buffer may be a mask of infinities.

    Raises:
        TrainingError: Naming the tensors.
    """
    bad = [name for name, tensor in weights if not bool(tensor.isfinite().all())]
    bad += [name for name, tensor in buffers if bool(tensor.isnan().any())]
    if bad:
        raise TrainingError(
            f"Expected finite weights, found NaN or infinity in {few(bad, 3)} after epoch {epoch}; lower the learning "
            "rate or clip the gradients."
        )


@contextmanager
def naming_failures(expected: str, cure: str, kind: type[VestigeError] = TrainingError) -> Iterator[None]:
    """Turn whatever a user's own code or torch raises into an error of one line; the first one stays its cause.

    Raises:
        VestigeError: Of this kind.
    """
    try:
        yield
    except VestigeError:
        raise
    except Exception as error:
        what = f"{type(error).__name__}: {brief(str(error), 200).rstrip('.')}"
        raise kind(f"Expected {expected}, found {what}; {cure}.") from error
