"""Which of several outputs of a torch module are its answers."""

from typing import Any

from torch import Tensor, nn

from vestige.core.batches import named_part
from vestige.core.errors import TargetError
from vestige.core.messages import few


def part_of(outputs: Any, kind: str, n_records: int, n_classes: int) -> tuple[str | int, str]:
    """Return under which name or number the answers are, and what a user should know of that.

    Args:
        outputs: What the module returned: no tensor.
        kind: What its answers are called: `logits`, `probabilities`.
        n_records: How many were asked about.
        n_classes: Classes of the records.

    Raises:
        TargetError: Several outputs could be meant, or none.

    Example:
        >>> import torch
        >>> part_of((torch.zeros(5, 3), torch.zeros(5, 8)), "logits", 5, 3)[0]
        0
    """
    if isinstance(named_part(outputs, kind), Tensor):
        return kind, f"The module returns {type(outputs).__name__}: its {kind} were read."
    shapes = [(n_records, n_classes), *([(n_records,), (n_records, 1)] if n_classes == 2 else [])]
    parts = list(outputs) if isinstance(outputs, list | tuple) else []
    fitting = [i for i, part in enumerate(parts) if isinstance(part, Tensor) and tuple(part.shape) in shapes]
    if len(fitting) == 1:
        number = f"number {fitting[0] + 1} of {len(parts)}"
        return fitting[0], f"Warning: of the module's outputs, {number} was read as its {kind}, by its shape."
    several = f" of shapes {few([str(tuple(getattr(part, 'shape', ()))) for part in parts], 4)}" if parts else ""
    raise TargetError(
        f"Expected {kind} as one tensor, found {type(outputs).__name__}{several}; let the module return its {kind} "
        f"alone, or under the name {kind}."
    )


def taken(outputs: Any, part: str | int) -> Tensor:
    """Return the part of a module's outputs that `part_of` found."""
    tensor: Tensor = outputs[part] if isinstance(part, int) else named_part(outputs, part)
    return tensor


class PartOf(nn.Module):
    """A module that returns several outputs, as one that returns one of them."""

    def __init__(self, module: nn.Module, part: str | int) -> None:
        super().__init__()
        self.module, self.part, self.training = module, part, module.training

    def forward(self, inputs: Tensor) -> Tensor:
        """Return that part."""
        return taken(self.module(inputs), self.part)
