"""What users' tools hand over: tensors, and frames that are not pandas', become arrays and pandas'."""

from typing import Any


def in_memory(value: Any) -> Any:
    """Return a tensor as an array, a frame or column of polars or Arrow as that of pandas, anything else as it is.

    Tensors may be on any device and need gradients; bfloat16, which NumPy lacks, becomes float32 without loss.

    Example:
        >>> import pyarrow
        >>> in_memory(pyarrow.table({"age": [31, 47]})).columns.tolist()
        ['age']
    """
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        tensor = value.detach().cpu()
        return (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()
    package = type(value).__module__.split(".")[0]
    return value.to_pandas() if package in ("polars", "pyarrow") and hasattr(value, "to_pandas") else value


def bring_to_memory(holder: Any, *names: str) -> None:
    """Do so with fields of a frozen value while it is made."""
    for name in names:
        object.__setattr__(holder, name, in_memory(getattr(holder, name)))
