"""A program that torch exported: it needs no code of the model, and may be made for a fixed number of records.

To load one can run any code that somebody hid in it: torch unpickles entries of the archive and evaluates text in it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vestige.core.errors import InputError, TargetError
from vestige.core.targets import Interface
from vestige.targets.answer_format import AnswerFormat
from vestige.targets.files.module_answers import module_target
from vestige.targets.files.padded_blocks import padded_blocks
from vestige.targets.refusals import damaged, not_trusted

_MOST = 512


def open_program(
    path: Path, trust: bool, answers: AnswerFormat | None, n_classes: int, classes: Sequence[str] | None
) -> Interface:
    """Return a target that asks an exported program.

    Args:
        path: A `.pt2` archive.
        trust: Whether the user says that the file may run code.
        answers: What it answers with, logits if omitted.
        n_classes: Classes of the records.
        classes: Their names.

    Raises:
        UnsupportedModelError: It is not trusted; it was not read.
        InputError: The file is damaged, or the program wants more than one array.
    """
    if not trust:
        raise not_trusted(path, "an exported program", ".onnx")
    try:
        exported = torch.export.load(path)
        module = exported.module()
    except Exception as error:
        raise damaged(path, "an exported program", error) from None
    wanted = [
        node.meta.get("val") for node in exported.graph.nodes if node.name in exported.graph_signature.user_inputs
    ]
    if len(wanted) != 1 or not isinstance(wanted[0], Tensor) or wanted[0].ndim == 0:
        raise InputError(
            f"Expected a program of one array, records first, in {path.name}, found {len(wanted)} inputs; export the "
            "model so that it is given the records alone."
        )
    least, most = _sizes(exported, wanted[0].shape[0])
    return module_target(ExportedModule(module, wanted[0], least, most), answers, n_classes, classes)


def _sizes(exported: Any, n_records: Any) -> tuple[int, int]:
    """Least and most records that a program takes at once."""
    if isinstance(n_records, int):  # a number, not a symbol
        return n_records, n_records
    bounds = exported.range_constraints.get(n_records.node.expr)
    if bounds is None:
        return 1, _MOST
    most = int(bounds.upper) if bounds.upper < _MOST else _MOST
    return max(1, int(bounds.lower)), max(1, most)


class ExportedModule(nn.Module):
    """Asks a program in blocks that it takes, and gives the answers as if it took any number of records.

    Args:
        program: Module of the exported program; it is what it was exported as, and has no modes.
        wanted: A tensor like those that it takes.
        least: Fewest records that it takes at once; fewer are filled up with copies.
        most: Most records that it takes at once.
    """

    def __init__(self, program: nn.Module, wanted: Tensor, least: int, most: int) -> None:
        super().__init__()
        self.program, self.least, self.most = program, least, most
        self.dtype = wanted.dtype
        sizes: tuple[Any, ...] = tuple(wanted.shape[1:])
        self.shape = tuple(size if isinstance(size, int) else None for size in sizes)

    def train(self, mode: bool = True) -> "ExportedModule":
        """Leave everything as it was exported."""
        return self

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the program's outputs."""
        self._check(inputs)
        found = []
        for rows, n_records in padded_blocks(len(inputs), self.least, self.most):
            outputs = self.program(inputs[torch.from_numpy(rows)].to(self.dtype))
            if isinstance(outputs, tuple | list) and len(outputs) == 1:
                outputs = outputs[0]
            if not isinstance(outputs, Tensor) or outputs.ndim == 0 or len(outputs) != len(rows):
                shape = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
                raise TargetError(
                    f"Expected one tensor with an answer per record for {len(rows)} records, found {shape}; export the "
                    "model so that it returns its answers alone."
                )
            found.append(outputs[:n_records])
        return torch.cat(found)

    def _check(self, inputs: Tensor) -> None:
        given = tuple(inputs.shape[1:])
        fits = len(given) == len(self.shape) and all(
            size in (None, found) for size, found in zip(self.shape, given, strict=True)
        )
        if not fits:
            wanted = ", ".join("any" if size is None else str(size) for size in self.shape)
            raise TargetError(
                f"Expected records of shape ({wanted}), which the program was exported for, found {given}; give the "
                "records so, or export it for these."
            )
        if inputs.is_floating_point() and not self.dtype.is_floating_point:
            raise TargetError(
                f"Expected records of {str(self.dtype).removeprefix('torch.')}, which the program was exported for, "
                "found fractions; give whole numbers."
            )
