"""Weights of a torch module from a file, into the architecture that a function makes. Nothing is unpickled."""

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from vestige.core.errors import InputError, UnsupportedModelError
from vestige.core.messages import brief, few
from vestige.core.targets import Interface
from vestige.targets.answer_format import AnswerFormat
from vestige.targets.files.module_answers import module_target
from vestige.targets.refusals import damaged, missing_package, reason

_PICKLE = re.compile(rb"\x80[\x02-\x05]")


def open_weights(
    path: Path,
    factory: Callable[[], Any] | None,
    answers: AnswerFormat | None,
    n_classes: int,
    classes: Sequence[str] | None,
) -> Interface:
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
    weights = _safetensors(path) if path.suffix.lower() == ".safetensors" else _state_dict(path)
    module = _made(factory)
    try:
        module.load_state_dict(weights, strict=True)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise InputError(
            f"Expected the weights of {type(module).__name__} in {path.name}, found others: "
            f"{brief(reason(error), 200)}; let the factory make the module that was saved."
        ) from None
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
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError:
        raise missing_package("safetensors", "a safetensors file", "torch") from None
    if _may_be_pickle(path):
        raise UnsupportedModelError(
            f"Expected tensors in {path.name}, found a pickle under this name, which can run any code when it is "
            "loaded; nothing was loaded. Save the weights with safetensors."
        )
    try:
        found: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise damaged(path, "tensors", error) from None
    return found


def _may_be_pickle(path: Path) -> bool:
    """Whether a file starts as a pickle or an archive of torch does; tensors start with the length of their header."""
    with path.open("rb") as file:
        start = file.read(9)
    return start[8:9] != b"{" and (start.startswith(b"PK\x03\x04") or _PICKLE.match(start) is not None)


def _state_dict(path: Path) -> Mapping[str, Tensor]:
    found = _loaded(path)
    if not isinstance(found, Mapping):
        raise InputError(
            f"Expected a state dict in {path.name}, found {type(found).__name__}; save module.state_dict()."
        )
    other = [str(name) for name, value in found.items() if not isinstance(value, Tensor)]
    if other or not found:
        held = f"{few(other, 3)}, no tensors" if other else "nothing"
        raise InputError(f"Expected a tensor per weight in {path.name}, found {held}; save module.state_dict() alone.")
    return found


def _loaded(path: Path) -> Any:
    from torch.serialization import load

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a pickle's protocol: it is refused below, in one line
            return load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        said = str(error)
        if "weights_only" not in said and "Weights only" not in said:
            raise damaged(path, "a state dict", error) from None
        named = re.search(r"GLOBAL ([\w.]+)", said)
        held = named.group(1) if named else "more than tensors"
    raise UnsupportedModelError(
        f"Expected tensors alone in {path.name}, found a pickle with {held}, which can run any code when it is loaded; "
        "nothing was run. Save module.state_dict(), or export the model (.pt2, .onnx)."
    )
