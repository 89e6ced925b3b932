"""A torch module as a target, with the gradients of every single record."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from vestige.core.errors import InputError, UnsupportedModelError
from vestige.core.memory import keep_freed_memory
from vestige.core.messages import few
from vestige.core.outputs import Logits
from vestige.core.sparse import dense
from vestige.targets.answer_format import AnswerFormat
from vestige.targets.objects.module_outputs import PartOf, part_of, taken
from vestige.targets.objects.record_gradients import last_layer_gradients, last_layer_inputs, squared_norms_for
from vestige.targets.refusals import answered, check_finite, check_shape

_NUMBERS = 1 << 18  # of the inputs that are asked about at once: narrow tables in larger batches
_BATCH = 512, 4096  # least and most
_IMAGES = 64  # the least of images on a processor: what a convolution gives is many times larger, and should be reused
_GRADIENT_NUMBERS = 1 << 17  # of the inputs whose gradients are taken at once: what belongs to them should fit a cache
_GRADIENT_BATCH = 8, 512  # least and most
_COMPARED = 2  # records on which the ways of taking gradients are compared


class TorchTarget:
    """Asks a module that returns logits, in full batches, in the mode (evaluation or training) it is in.

    The module is left as it was: neither its mode nor its buffers, such as running means, change. One that returns one
    number per record of two classes gives the logit of the second, against 0 for the first. Of one that returns several
    outputs, those called `logits` are taken, or the only ones with a number per record and class; `note` says so.

    Args:
        module: Given a copy of inputs as they are in the records, as tensors on its own device; fractions in the
            precision of its parameters. A table of numbers becomes an array.
        n_classes: Classes of the records.
    """

    def __init__(self, module: nn.Module, n_classes: int) -> None:
        self.module, self.n_classes = module, n_classes
        self._asked = module  # gives a logit per class: another one, once one output for two classes was seen
        self.note = ""
        self._was_read = False
        first = next(iter([*module.parameters(), *module.buffers()]), None)
        self.device = torch.device("cpu") if first is None else first.device
        precisions = {p.dtype for p in module.parameters() if p.is_floating_point()}
        self._precision = precisions.pop() if len(precisions) == 1 else None
        keep_freed_memory()

    def per_class(self, inputs: Any) -> nn.Module:
        """Return the module, or what gives a logit per class for it if it gives one for two of them.

        Args:
            inputs: Some, one of which it is asked about, in the mode it is in.
        """
        if len(inputs):
            with torch.no_grad():
                self._logits(self._tensor(inputs[:1]), 1)
        return self._asked

    @torch.no_grad()
    def answers(self, inputs: Any) -> Logits:
        """Return the logits.

        Raises:
            InputError: The records are no numbers.
            TargetError: The module fails, or does not give finite logits, one per record and class.
        """
        table = np.empty((len(inputs), self.n_classes), dtype=np.float32)
        least, most = _BATCH
        small = self.device.type == "cpu" and np.ndim(inputs) > 2
        size = _rows_within(inputs, _NUMBERS, (_IMAGES if small else least, most))
        with left_as_it_was(self.module):
            for start in range(0, len(inputs), size):
                block = inputs[start : start + size]
                logits = self._logits(self._tensor(block), len(block)).float().cpu().numpy()
                table[start : start + size] = logits
        if self._was_read:  # once: what a search asks later lies where logits are small, as probabilities are
            check_finite(table, "logits")
        else:
            is_single = isinstance(self._asked, _AgainstZero)
            AnswerFormat(Logits).read(table[:, 1:] if is_single else table, len(inputs), self.n_classes)
            self._was_read = len(inputs) > 1  # of a single record it is not seen
        return Logits(table)

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
        with _for_gradients(self.module):
            y = self._classes_of(labels)
            squared_norms = answered(squared_norms_for, self.per_class(inputs), self._tensor(inputs[:_COMPARED]))
            for start in range(0, len(inputs), size):
                rows = slice(start, start + size)
                norms[rows] = answered(squared_norms, self._tensor(inputs[rows]), y[rows]).sqrt().cpu().numpy()
        check_finite(norms, "gradient norms")
        return norms

    def last_layer_gradients(
        self, inputs: Any, labels: Int[np.ndarray, " record"]
    ) -> Iterator[Float[np.ndarray, "some input class"]]:
        """Yield the gradient of each record's own cross-entropy in the weights of the last layer, batch by batch.

        The module is in evaluation mode meanwhile, whatever mode it is in.

        Raises:
            UnsupportedModelError: The logits are not what one `nn.Linear` gives, or its weights serve elsewhere too; or
                it gives one logit for two classes.
            TargetError: The module does not give one logit per record and class, or a gradient is not finite.
        """
        size = _rows_within(inputs, _NUMBERS, _BATCH)
        for start in range(0, len(inputs), size):
            rows = slice(start, start + size)
            with _for_gradients(self.module):  # not across a yield: the caller may ask the module meanwhile
                module = self._asked if start else self.per_class(inputs)
                if isinstance(module, _AgainstZero):
                    raise UnsupportedModelError(
                        "Expected a logit per class for gradients of the last layer, found one for two classes; leave "
                        "white_box_gradient out, or give the module a second output."
                    )
                y = self._classes_of(labels[rows])
                gradients = answered(last_layer_gradients, module, self._tensor(inputs[rows]), y)
                numbers = gradients.float().cpu().numpy()
            check_finite(numbers, "gradients")
            yield numbers

    def margins(
        self, inputs: Any, labels: Int[np.ndarray, " record"]
    ) -> tuple[Float[np.ndarray, " record"], Float[np.ndarray, "record feature"]]:
        """Return by how much the logit of each input's class is above the largest other one, and the gradient of that.

        The module is in evaluation mode meanwhile, whatever mode it is in.

        Raises:
            TargetError: The module does not give one logit per record and class, or a number is not finite.
        """
        values, slopes = np.empty(len(inputs)), np.empty((len(inputs), int(np.prod(np.shape(inputs)[1:]))))
        size = _rows_within(inputs, _NUMBERS, (_IMAGES, _BATCH[1]))
        with _for_gradients(self.module):
            y = self._classes_of(labels)
            for start in range(0, len(inputs), size):
                rows = slice(start, start + size)
                given = self._tensor(inputs[rows]).requires_grad_(True)
                logits = self._logits(given, len(given)).double()
                own = y[rows, None]
                others = logits.scatter(1, own, -torch.inf).amax(dim=1)
                margin = logits.gather(1, own)[:, 0] - others
                slopes[rows] = torch.autograd.grad(margin.sum(), given)[0].flatten(1).cpu().numpy()
                values[rows] = margin.detach().cpu().numpy()
        check_finite(values, "margins")
        check_finite(slopes, "gradients in the inputs")
        return values, slopes

    def last_layer_inputs(self, inputs: Any) -> Float[np.ndarray, "record feature"]:
        """Return what the last linear layer is given for each record: its embedding, not scaled.

        The module is in evaluation mode meanwhile, whatever mode it is in. One logit for two classes is fine.

        Raises:
            UnsupportedModelError: The logits are not what one `nn.Linear` gives.
            TargetError: The module fails, or a number is not finite.
        """
        size = _rows_within(inputs, _NUMBERS, _BATCH)
        blocks = []
        with left_as_it_was(self.module), torch.no_grad():
            self.module.eval()
            for start in range(0, len(inputs), size):
                module = self._asked if start else self.per_class(inputs)
                module = module.module if isinstance(module, _AgainstZero) else module
                found = answered(last_layer_inputs, module, self._tensor(inputs[start : start + size]))
                blocks.append(found.float().cpu().numpy())
        features = np.concatenate(blocks)
        check_finite(features, "inputs of the last layer")
        return features

    def _classes_of(self, labels: Int[np.ndarray, " record"]) -> Tensor:
        return torch.from_numpy(np.array(labels, dtype=np.int64)).to(self.device)

    def _logits(self, inputs: Tensor, n_records: int) -> Tensor:
        logits = answered(self._asked, inputs)
        if not isinstance(logits, Tensor):
            part, self.note = part_of(logits, "logits", n_records, self.n_classes)
            self._asked, logits = PartOf(self.module, part), taken(logits, part)
        single = [(n_records,), (n_records, 1), *([()] if n_records == 1 else [])]  # no axis, as `squeeze()` leaves one
        if self.n_classes == 2 and tuple(logits.shape) in single:
            self._asked, logits = _AgainstZero(self._asked), _against_zero(logits)
        check_shape(tuple(logits.shape), n_records, self.n_classes, "logits")
        return logits

    def _tensor(self, inputs: Any) -> Tensor:
        """A copy, because a module may change its inputs in place, and these are the records themselves."""
        if hasattr(inputs, "columns"):
            inputs = _numbers_of(inputs)
        inputs = dense(inputs)
        if not isinstance(inputs, np.ndarray) or inputs.dtype.kind not in "biuf":
            raise InputError(
                f"Expected inputs as an array of numbers for a torch module, found {_what(inputs)}; "
                "declare their categories and encoding in [inputs] (InputSpace), or give numbers."
            )
        # As in training: unsigned whole numbers but bytes, and all fractions wider than float32, become float32.
        wide = inputs.dtype.kind in "uf" and inputs.dtype.itemsize > (1 if inputs.dtype.kind == "u" else 4)
        native = np.dtype(np.float32) if wide else inputs.dtype.newbyteorder("=")
        if inputs.dtype.kind == "f" and self._precision is torch.float64:
            native = np.dtype(np.float64)
        tensor = torch.from_numpy(np.array(inputs, dtype=native, order="C")).to(self.device)
        return tensor if self._precision is None or not tensor.is_floating_point() else tensor.to(self._precision)


class _AgainstZero(nn.Module):
    """A module with one logit, that of the second of two classes, as one with two."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module, self.training = module, module.training

    def forward(self, inputs: Tensor) -> Tensor:
        return _against_zero(self.module(inputs))


def _against_zero(logits: Tensor) -> Tensor:
    second = logits.reshape(-1)
    return torch.stack([torch.zeros_like(second), second], dim=1)


def _what(inputs: Any) -> str:
    if hasattr(inputs, "columns"):
        text = [str(name) for name, dtype in inputs.dtypes.items() if getattr(dtype, "kind", "O") not in "biuf"]
        return f"a DataFrame with text or categories in {few(text, 3)}"
    return str(getattr(inputs, "dtype", type(inputs).__name__))


def _numbers_of(table: Any) -> Any:
    """A table as an array, if all of its columns are numbers: whole ones if all are."""
    kinds = {getattr(dtype, "kind", "O") for dtype in table.dtypes}
    if not kinds <= set("biuf"):
        return table
    return table.to_numpy() if len(kinds) == 1 else table.to_numpy(dtype=np.float64, na_value=np.nan)


def _rows_within(inputs: Any, n_numbers: int, bounds: tuple[int, int]) -> int:
    """How many records have so many numbers, within bounds."""
    least, most = bounds
    return min(max(n_numbers // max(1, int(np.prod(np.shape(inputs)[1:]))), least), most)


@contextmanager
def _for_gradients(module: nn.Module) -> Iterator[None]:
    """Evaluation mode, and gradients though an audit may stand in a `no_grad` of the user's: all norms would be 0."""
    with left_as_it_was(module), torch.inference_mode(False), torch.enable_grad(), _full_precision(module):
        module.eval()
        yield


@contextmanager
def _full_precision(module: nn.Module) -> Iterator[None]:
    """No TF32 in convolutions on CUDA: its rounding would hide that the fast way of taking norms is right."""
    cudnn: Any = torch.backends.cudnn
    if not any(p.is_cuda for p in module.parameters()):
        yield
        return
    before, cudnn.allow_tf32 = cudnn.allow_tf32, False
    try:
        yield
    finally:
        cudnn.allow_tf32 = before


@contextmanager
def left_as_it_was(module: nn.Module) -> Iterator[None]:
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
