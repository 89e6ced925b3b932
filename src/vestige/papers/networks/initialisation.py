"""First weights, where a paper's framework draws others than torch."""

from torch import nn


def glorot_uniform(network: nn.Sequential) -> nn.Sequential:
    """Draw the weights of linear and convolutional layers as Keras does unless told otherwise; biases become 0.

    Args:
        network: Is changed.

    Returns:
        The same network.

    Source:
        Glorot & Bengio 2010: uniform in ±sqrt(6 / (fan in + fan out)).
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return network


def he_normal_of_outputs(network: nn.Module) -> None:
    """Draw the weights of convolutions with standard deviation sqrt(2 / fan out); biases become 0.

    Args:
        network: Is changed.

    Source:
        He et al. 2015, in the form that keeps the size of gradients.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
