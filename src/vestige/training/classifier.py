"""What all ways of training a torch network share: inputs as tensors, the classifier, random streams."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from vestige.core.errors import InputError
from vestige.core.messages import brief
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
    """Return the device to train on, the processor if none is named.

    Raises:
        InputError: Torch has no such device here.
    """
    name = device or "cpu"
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
