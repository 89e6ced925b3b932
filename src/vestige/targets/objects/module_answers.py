"""A torch module with declared answers: what it returns is checked against the declaration."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vestige.core.outputs import Logits
from vestige.core.targets import Answers, ClassNames, QueryableModel
from vestige.targets.answer_format import AnswerFormat
from vestige.targets.objects.module_outputs import part_of, taken
from vestige.targets.objects.torch_module import TorchTarget, left_as_it_was
from vestige.targets.refusals import answered

_BATCH = 512


def module_target(
    module: nn.Module, answers: AnswerFormat | None, n_classes: int, classes: ClassNames
) -> QueryableModel:
    """Return a target that asks a module: for logits, and then for gradients too, unless it was declared otherwise."""
    if answers is None or answers == AnswerFormat(Logits):
        return TorchTarget(module, n_classes)
    return DeclaredModule(module, answers, n_classes, classes)


class DeclaredModule:
    """A module that returns what `format` says; without gradients, whose loss is known of logits alone."""

    def __init__(self, module: nn.Module, format: AnswerFormat, n_classes: int, classes: ClassNames = None) -> None:
        self.module, self.format, self.n_classes, self.classes = module, format, n_classes, classes
        self._as_logits, self.note = TorchTarget(module, n_classes), ""

    @torch.no_grad()
    def answers(self, inputs: Any) -> Answers:
        """Return what the module answers.

        Raises:
            TargetError: The module fails, or its answers are not what they were said to be.
        """
        with left_as_it_was(self.module):
            blocks = [self._outputs(inputs[start : start + _BATCH]) for start in range(0, len(inputs), _BATCH)]
        whole = np.concatenate(blocks) if blocks else np.empty((0, self.n_classes))
        return self.format.read(whole, len(inputs), self.n_classes, self.classes)

    def _outputs(self, inputs: Any) -> np.ndarray:
        given = self._as_logits._tensor(inputs)
        outputs = answered(self.module, given)
        if not isinstance(outputs, Tensor):
            part, self.note = part_of(outputs, self.format.kind.kind.replace(" ", "_"), len(given), self.n_classes)
            outputs = taken(outputs, part)
        outputs = outputs.float() if outputs.is_floating_point() else outputs
        if len(given) == 1 and outputs.ndim == 0:  # as `squeeze()` leaves one number for one record
            outputs = outputs.reshape(1)
        return outputs.cpu().numpy()
