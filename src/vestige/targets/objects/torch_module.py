"""A torch module as a target, with the gradients of every single record."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from vestige.core.errors import InputError, TargetError
from vestige.core.outputs import Logits
from vestige.targets.checking import check_finite, check_shape
from vestige.targets.objects.last_layer_gradients import last_layer_gradients
from vestige.targets.objects.record_gradients import squared_norms_for
from vestige.targets.refusals import answered

_NUMBERS = 1 << 18  # of the inputs that are asked about at once: narrow tables in larger batches
_BATCH = 512, 4096  # least and most
_IMAGES = 64  # the least of images on a processor: what a convolution gives is many times larger, and should be reused
_GRADIENT_NUMBERS = 1 << 17  # of the inputs whose gradients are taken at once: what belongs to them should fit a cache
_GRADIENT_BATCH = 8, 512  # least and most
_COMPARED = 2  # records on which the ways of taking gradients are compared


class TorchTarget:
    """Asks a module that returns logits, in full batches, in the mode (evaluation or training) it is in.

    The module is left as it was: neither its mode nor its buffers, such as running means, change.

    Args:
        module: Given a copy of inputs as they are in the records, as tensors on its own device.
        n_classes: Classes of the records.
    """

    def __init__(self, module: nn.Module, n_classes: int) -> None:
        self.module, self.n_classes = module, n_classes
        first = next(iter([*module.parameters(), *module.buffers()]), None)
        self.device = torch.device("cpu") if first is None else first.device
        _keep_freed_memory()

    @torch.no_grad()
    def answers(self, inputs: Any) -> Logits:
        """Return the logits."""
        found = np.empty((len(inputs), self.n_classes), dtype=np.float32)
        least, most = _BATCH
        small = self.device.type == "cpu" and np.ndim(inputs) > 2
        size = _rows_within(inputs, _NUMBERS, (_IMAGES if small else least, most))
        with _left_as_it_was(self.module):
            for start in range(0, len(inputs), size):
                block = inputs[start : start + size]
                logits = self._logits(self._tensor(block), len(block)).float().cpu().numpy()
                found[start : start + size] = logits
        check_finite(found, "logits")
        return Logits(found)

    def gradient_norms(self, inputs: Any, labels: Int[np.ndarray, " record"]) -> Float[np.ndarray, " record"]:
        """Return the L2 norm of the gradient of each record's own cross-entropy, over all parameters.

        The module is in evaluation mode meanwhile, whatever mode it is in. Parameters that were frozen count like the
        others. Networks of layers take one pass for a whole block of records, other modules one for every record.

        Raises:
            TargetError: The module does not give one logit per record and class, or a norm is not finite.
        """
        norms = np.empty(len(inputs))
        if not len(inputs):
            return norms
        size = _rows_within(inputs, _GRADIENT_NUMBERS, _GRADIENT_BATCH)
        y = torch.from_numpy(np.array(labels, dtype=np.int64)).to(self.device)
        with _left_as_it_was(self.module):
            self.module.eval()
            with torch.no_grad():
                self._logits(self._tensor(inputs[:1]), 1)
            squared_norms = squared_norms_for(self.module, self._tensor(inputs[:_COMPARED]), y[:_COMPARED])
            for start in range(0, len(inputs), size):
                rows = slice(start, start + size)
                squares = squared_norms(self._tensor(inputs[rows]), y[rows])
                norms[rows] = squares.sqrt().cpu().numpy()
        check_finite(norms, "gradient norms")
        return norms

    def last_layer_gradients(
        self, inputs: Any, labels: Int[np.ndarray, " record"]
    ) -> Iterator[Float[np.ndarray, "some input class"]]:
        """Yield the gradient of each record's own cross-entropy in the weights of the last layer, batch by batch.

        The module is in evaluation mode meanwhile, whatever mode it is in.

        Raises:
            UnsupportedModelError: The logits are not what one `nn.Linear` gives, or its weights serve elsewhere too.
            TargetError: The module does not give one logit per record and class, or a gradient is not finite.
        """
        size = _rows_within(inputs, _NUMBERS, _BATCH)
        y = torch.from_numpy(np.array(labels, dtype=np.int64)).to(self.device)
        for start in range(0, len(inputs), size):
            rows = slice(start, start + size)
            with _left_as_it_was(self.module):  # not across a yield: the caller may ask the module meanwhile
                self.module.eval()
                if not start:
                    with torch.no_grad():
                        self._logits(self._tensor(inputs[:1]), 1)
                found = last_layer_gradients(self.module, self._tensor(inputs[rows]), y[rows]).float().cpu().numpy()
            check_finite(found, "gradients")
            yield found

    def _logits(self, inputs: Tensor, n_records: int) -> Tensor:
        found = answered(self.module, inputs)
        if not isinstance(found, Tensor):
            raise TargetError(
                f"Expected logits as one tensor, found {type(found).__name__}; let the module return its logits alone."
            )
        check_shape(tuple(found.shape), n_records, self.n_classes, "logits")
        return found

    def _tensor(self, inputs: Any) -> Tensor:
        """A copy, because a module may change its inputs in place, and these are the records themselves."""
        if not isinstance(inputs, np.ndarray) or inputs.dtype.kind not in "biuf":
            raise InputError("Expected inputs as an array of numbers for a torch module, found a DataFrame or text.")
        # As in training: unsigned whole numbers but bytes, and all fractions wider than float32, become float32.
        wide = inputs.dtype.kind in "uf" and inputs.dtype.itemsize > (1 if inputs.dtype.kind == "u" else 4)
        dtype = np.dtype(np.float32) if wide else inputs.dtype.newbyteorder("=")
        return torch.from_numpy(np.array(inputs, dtype=dtype, order="C")).to(self.device)


def _rows_within(inputs: Any, n_numbers: int, bounds: tuple[int, int]) -> int:
    """How many records have so many numbers, within bounds."""
    least, most = bounds
    return min(max(n_numbers // max(1, int(np.prod(np.shape(inputs)[1:]))), least), most)


def _keep_freed_memory() -> None:
    """Let the memory of one block serve the next: else its pages are fetched anew, which takes as long as a network.

    The allocator of Linux (glibc) gives back whatever exceeds twice the largest piece that was ever freed, up to 32 MB;
    so a piece of nearly that size is asked for and freed, unused. Elsewhere this does nothing.
    """
    bytearray((32 << 20) - (1 << 16))


@contextmanager
def _left_as_it_was(module: nn.Module) -> Iterator[None]:
    """Put modes and, of a module in training mode, buffers back."""
    modes = [(part, part.training) for part in module.modules()]
    buffers = [(b, b.clone()) for b in module.buffers()] if any(training for _, training in modes) else []
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
