"""Torch networks in files: exported programs, and weights for the architecture that a function makes.

A program needs no code of the model, and may be made for a fixed number of records. To load one can run any code that
somebody hid in it: torch unpickles entries of the archive and evaluates text in it. Of weights nothing is unpickled.
"""

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vestige.core.errors import InputError, TargetError, UnsupportedModelError, refusing
from vestige.core.messages import brief, few
from vestige.core.targets import ClassNames, QueryableModel
from vestige.targets.answer_format import AnswerFormat
from vestige.targets.files.padded_blocks import padded_blocks
from vestige.targets.objects.module_answers import module_target
from vestige.targets.refusals import check_record_shape, damaged, missing_package, not_trusted, reading, reason

_MOST = 512
_PICKLE = re.compile(rb"\x80[\x02-\x05]")


def open_program(
    path: Path, trust: bool, answers: AnswerFormat | None, n_classes: int, classes: ClassNames
) -> QueryableModel:
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
    with reading(path, "an exported program"):
        exported = torch.export.load(path)
        module = exported.module()
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
        sizes: Sequence[Any] = wanted.shape[1:]
        self.dtype, self.shape = wanted.dtype, [size if isinstance(size, int) else None for size in sizes]

    def train(self, mode: bool = True) -> "ExportedModule":
        """Leave everything as it was exported."""
        return self

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the program's outputs."""
        cure = "give the records so, or export it for these."
        check_record_shape(inputs.shape[1:], self.shape, ", which the program was exported for", cure)
        if inputs.is_floating_point() and not self.dtype.is_floating_point:
            raise TargetError(
                f"Expected records of {str(self.dtype).removeprefix('torch.')}, which the program was exported for, "
                "found fractions; give whole numbers."
            )
        blocks = []
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
            blocks.append(outputs[:n_records])
        return torch.cat(blocks)


# ------------------------------------------------------------------------------------ weights


def open_weights(
    path: Path, factory: Callable[[], Any] | None, answers: AnswerFormat | None, n_classes: int, classes: ClassNames
) -> QueryableModel:
    """Return a target that asks the module with the weights of a file, in evaluation mode.

    Args:
        path: A `.safetensors` file, or a state dict that torch saved.
        factory: Makes the module; its weights are replaced.
        answers: What it answers with, logits if omitted.
        n_classes: Classes of the records.
        classes: Their names.

    Raises:
        InputError: There is no factory, or it makes another module than the weights are of, or the file is damaged.
        UnsupportedModelError: The file is a pickle that could run code.
    """
    if factory is None:
        raise InputError(
            f"Expected a factory, a function that makes the module, beside the weights in {path.name}, found none; "
            'name it in [target] of AUDIT.toml (factory = "module:function", in Python factory=...), or export the '
            "whole model (.pt2, .onnx)."
        )
    module = _made(factory)
    weights = _safetensors(path) if path.suffix.lower() == ".safetensors" else _state_dict(path)
    weights = _named_as_in(module, weights)
    with refusing(
        (RuntimeError, TypeError, AttributeError),
        lambda error: (
            f"Expected the weights of {type(module).__name__} in {path.name}, found others: "
            f"{brief(reason(error), 200)}; let the factory make the module that was saved."
        ),
    ):
        module.load_state_dict(weights, strict=True)
    return module_target(module.eval(), answers, n_classes, classes)


def _made(factory: Callable[[], Any]) -> nn.Module:
    try:
        module = factory()
    except (Exception, SystemExit) as error:
        raise InputError(
            f"Expected a torch module from the factory, found that it failed: {brief(reason(error), 200)}; it is "
            "called without arguments."
        ) from error
    if not isinstance(module, nn.Module):
        raise InputError(
            f"Expected a torch module from the factory, found {type(module).__name__}; return the module, untrained."
        )
    return module


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        from safetensors.torch import load_file
    except ImportError:
        raise missing_package("safetensors", "a safetensors file", "torch") from None
    if _may_be_pickle(path):
        raise UnsupportedModelError(
            f"Expected tensors in {path.name}, found a pickle under this name, which can run any code when it is "
            "loaded; nothing was loaded. Save the weights with safetensors."
        )
    with reading(path, "tensors"):
        tensors: dict[str, Tensor] = load_file(path)
    return tensors


def _may_be_pickle(path: Path) -> bool:
    """Whether a file starts as a pickle or an archive of torch does; tensors start with the length of their header."""
    with path.open("rb") as file:
        start = file.read(9)
    return start[8:9] != b"{" and (start.startswith(b"PK\x03\x04") or _PICKLE.match(start) is not None)


def _named_as_in(module: nn.Module, weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Weights without what wrappers put before every name: `module.`, `_module.`, `_orig_mod.`, `model.`."""
    names, first = set(module.state_dict()), str(next(iter(weights), ""))
    for end in (i + 1 for i, letter in enumerate(first) if letter == "."):
        if {name[end:] for name in weights if name.startswith(first[:end])} == names:
            return {name[end:]: value for name, value in weights.items()}
    return weights


def _state_dict(path: Path) -> Mapping[str, Tensor]:
    tensors = _loaded(path)
    if not isinstance(tensors, Mapping):
        raise InputError(
            f"Expected a state dict in {path.name}, found {type(tensors).__name__}; save module.state_dict()."
        )
    inside = {str(name): part for name, part in tensors.items() if _are_tensors(part)}
    if len(inside) > 1:
        raise InputError(
            f"Expected one state dict in {path.name}, found {few(list(inside))}; save the audited one alone."
        )
    tensors = next(iter(inside.values()), tensors)
    other = [str(name) for name, value in tensors.items() if not isinstance(value, Tensor)]
    if other or not tensors:
        held = f"{few(other, 3)}, no tensors" if other else "nothing"
        raise InputError(f"Expected a tensor per weight in {path.name}, found {held}; save module.state_dict() alone.")
    return tensors


def _are_tensors(part: Any) -> bool:
    return isinstance(part, Mapping) and bool(part) and all(isinstance(value, Tensor) for value in part.values())


def _loaded(path: Path) -> Any:
    from torch.serialization import load

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a pickle's protocol: it is refused below, in one line
            return load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        said = str(error)
        if "weights_only" not in said and "Weights only" not in said:
            raise InputError(damaged(path, "a state dict", error)) from None
        named = re.search(r"GLOBAL ([\w.]+)", said)
        held = named.group(1) if named else "more than tensors"
    raise UnsupportedModelError(
        f"Expected tensors alone in {path.name}, found a pickle with {held}, which can run any code when it is loaded; "
        "nothing was run. Save module.state_dict(), or export the model (.pt2, .onnx)."
    )
