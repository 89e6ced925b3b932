"""A torch module as a target, with the gradients of every single record."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional

from vestige.core.errors import InputError, TrainingError
from vestige.core.outputs import Logits
from vestige.targets.checking import checked

_BATCH = 512
_GRADIENT_BYTES = 1 << 28  # of the gradients of one block of records


class TorchTarget:
    """Asks a module that returns logits, in full batches, in the mode (evaluation or training) it is in.

    Args:
        module: Given inputs as they are in the records, as tensors on its own device.
        n_classes: Classes of the records.
    """

    def __init__(self, module: nn.Module, n_classes: int) -> None:
        self.module, self.n_classes = module, n_classes
        first = next(iter([*module.parameters(), *module.buffers()]), None)
        self.device = torch.device("cpu") if first is None else first.device

    @torch.no_grad()
    def answers(self, inputs: Any) -> Logits:
        """Return the logits."""
        logits: np.ndarray | None = None
        for start in range(0, len(inputs), _BATCH):
            found = self.module(self._tensor(inputs[start : start + _BATCH])).float().cpu().numpy()
            if logits is None:
                if found.ndim != 2:
                    raise TrainingError(
                        f"Expected {self.n_classes} logits per record, found outputs of shape {found.shape}."
                    )
                logits = np.empty((len(inputs), found.shape[1]), dtype=np.float32)
            logits[start : start + _BATCH] = found
        answers = np.empty((0, self.n_classes), dtype=np.float32) if logits is None else logits
        return Logits(checked(answers, len(inputs), self.n_classes, "logits"))

    def gradient_norms(self, inputs: Any, labels: Int[np.ndarray, " record"]) -> Float[np.ndarray, " record"]:
        """Return the L2 norm of the gradient of each record's own cross-entropy, over all parameters."""
        weights = {name: p.detach() for name, p in self.module.named_parameters()}
        buffers = {name: b.detach() for name, b in self.module.named_buffers()}

        def loss(w: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
            logits = functional_call(self.module, (w, buffers), (x[None],))
            return functional.cross_entropy(logits, y[None])

        gradients = vmap(grad(loss), in_dims=(None, 0, 0))
        size = max(1, _GRADIENT_BYTES // (4 * sum(w.numel() for w in weights.values())))
        norms = np.empty(len(inputs))
        for start in range(0, len(inputs), size):
            rows = slice(start, start + size)
            x, y = self._tensor(inputs[rows]), torch.from_numpy(np.array(labels[rows])).to(self.device)
            squares = [g.flatten(1).double().square().sum(dim=1) for g in gradients(weights, x, y).values()]
            norms[rows] = torch.stack(squares).sum(dim=0).sqrt().cpu().numpy()
        return norms

    def _tensor(self, inputs: Any) -> Tensor:
        if not isinstance(inputs, np.ndarray) or inputs.dtype.kind not in "biuf":
            raise InputError("Expected inputs as an array of numbers for a torch module, found a DataFrame or text.")
        numbers = inputs.astype(np.float32) if inputs.dtype == np.float64 else np.ascontiguousarray(inputs)
        return torch.from_numpy(numbers if numbers.flags.writeable else numbers.copy()).to(self.device)
