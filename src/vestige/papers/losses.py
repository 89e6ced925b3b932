"""Losses that are not the plain one."""

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional


def cross_entropy_after_softmax(
    outputs: Float[Tensor, "record class"], labels: Int[Tensor, " record"]
) -> Float[Tensor, " record"]:
    """Return the cross-entropy [nats] of probabilities taken for logits: softmax twice.

    It is never below log(1 + (K - 1)/e), 0.313 for two classes, and its gradients fade where a network is sure, be it
    right or wrong.

    Args:
        outputs: Logits.
        labels: Classes.

    Source:
        Watson et al.'s code: its perceptron ends in a softmax, and its loss begins with another one. Watson et al.'s
        text has one.

    Example:
        >>> import torch
        >>> round(float(cross_entropy_after_softmax(torch.tensor([[99.0, 0.0]]), torch.tensor([0]))), 3)
        0.313
    """
    return functional.cross_entropy(outputs.softmax(dim=1), labels, reduction="none")
