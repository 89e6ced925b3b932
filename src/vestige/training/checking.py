"""What every trained network has to be: finite, and as wide as there are classes."""

from collections.abc import Iterable

from torch import Tensor

from vestige.core.errors import TrainingError
from vestige.core.messages import few


def check_width(outputs: Tensor, n_classes: int) -> None:
    """Refuse a network whose outputs are not one logit per class.

    Raises:
        TrainingError: They are not.
    """
    if outputs.ndim != 2 or outputs.shape[1] != n_classes:
        raise TrainingError(
            f"Expected {n_classes} logits per record, one per class, found outputs of shape {tuple(outputs.shape)}; "
            "give the network as many outputs as there are classes."
        )


def check_finite(weights: Iterable[tuple[str, Tensor]], epoch: int) -> None:
    """Refuse weights that are not finite.

    Raises:
        TrainingError: Naming the tensors.
    """
    bad = [name for name, tensor in weights if tensor.is_floating_point() and not bool(tensor.isfinite().all())]
    if bad:
        raise TrainingError(
            f"Expected finite weights, found NaN or infinity in {few(bad, 3)} after epoch {epoch}; lower the learning "
            "rate or clip the gradients."
        )
