"""Checks of trained networks: finite weights, and one logit per record and class."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from vestige.core.errors import TrainingError, VestigeError
from vestige.core.messages import brief, few


def check_width(outputs: Any, n_records: int, n_classes: int) -> None:
    """Refuse a network whose outputs are not one logit per record and class.

    Raises:
        TrainingError: They are not.
    """
    if not isinstance(outputs, Tensor):
        raise TrainingError(
            f"Expected logits as one tensor, found {type(outputs).__name__}; let the network return its logits alone."
        )
    if outputs.shape != (n_records, n_classes):
        raise TrainingError(
            f"Expected {n_classes} logits per record, one per class, found outputs of shape {tuple(outputs.shape)} "
            f"for {n_records:,} records; give the network as many outputs as there are classes."
        )


def check_losses(losses: Any, n_records: int) -> None:
    """Refuse a loss that is not one number per record.

    Raises:
        TrainingError: It is not.
    """
    if not isinstance(losses, Tensor) or losses.shape != (n_records,):
        found = f"shape {tuple(losses.shape)}" if isinstance(losses, Tensor) else type(losses).__name__
        raise TrainingError(
            f"Expected a loss for each of {n_records:,} records, found {found}; let the loss take no mean or sum over "
            'records (reduction="none").'
        )


def check_finite(weights: Iterable[tuple[str, Tensor]], buffers: Iterable[tuple[str, Tensor]], epoch: int) -> None:
    """Refuse weights that are not finite, and buffers that are NaN; a buffer may be a mask of infinities.

    Raises:
        TrainingError: Naming the tensors.
    """
    bad = [name for name, tensor in weights if not bool(tensor.isfinite().all())]
    bad += [name for name, tensor in buffers if bool(tensor.isnan().any())]
    if bad:
        raise TrainingError(
            f"Expected finite weights, found NaN or infinity in {few(bad, 3)} after epoch {epoch}; lower the learning "
            "rate or clip the gradients."
        )


@contextmanager
def naming_failures(expected: str, cure: str, kind: type[VestigeError] = TrainingError) -> Iterator[None]:
    """Turn whatever a user's own code or torch raises into an error of one line; the first one stays its cause.

    Raises:
        VestigeError: Of this kind.
    """
    try:
        yield
    except VestigeError:
        raise
    except Exception as error:
        what = f"{type(error).__name__}: {brief(str(error), 200).rstrip('.')}"
        raise kind(f"Expected {expected}, found {what}; {cure}.") from error
