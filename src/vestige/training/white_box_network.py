"""The network of the white-box attack: layers for each kind of feature, then an encoder."""

from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from vestige.core.errors import InputError

_FILTERS = 100


class WhiteBoxNetwork:
    """Reads rows of probabilities, a column of 0 and 1 per class, the loss, and the gradient of the last layer.

    To be given to `white_box_gradient` as its classifier. The caller's random state is restored.

    Args:
        n_classes: Classes of the target; the number of the last layer's inputs follows from the length of a row.
        epochs: Passes over the known records.
        step_size: Of Adam.
        batch: Records per step.
        seed: Decides weights, dropout and order.

    Example:
        >>> rows, nonmember = np.tile([[0.9, 0.1, 1, 0, 0.1, -0.1, 0.1]], (4, 1)), np.array([0, 1, 0, 1])
        >>> WhiteBoxNetwork(2, epochs=1).fit(rows, nonmember).predict_proba(rows).shape
        (4, 2)

    Source:
        Nasr et al. 2019, https://arxiv.org/abs/1812.00910: squared errors of the probability, layers of 128-64 for
        each kind of feature. Deviations: 100 filters, each reading one input's gradients, instead of 1000; normal
        weights scaled to the inputs of a layer (He et al. 2015) instead of a standard deviation of 0.01, with which
        200 known records were often too few; steps of 0.001 instead of 0.0001; columns are standardised by
        the known; the last of 30 epochs instead of the best of 100, which could only be chosen on records that are then
        neither learnt from nor scored.
    """

    def __init__(
        self, n_classes: int, *, epochs: int = 30, step_size: float = 1e-3, batch: int = 64, seed: int = 0
    ) -> None:
        self.n_classes, self.epochs, self.step_size, self.batch, self.seed = n_classes, epochs, step_size, batch, seed

    def fit(self, rows: Float[np.ndarray, "known feature"], labels: Int[np.ndarray, " known"]) -> "WhiteBoxNetwork":
        """Learn to tell label 1 from label 0.

        Raises:
            InputError: A row holds other than the features of so many classes.
        """
        n_inputs, left = divmod(rows.shape[1] - 2 * self.n_classes - 1, self.n_classes)
        if left or n_inputs < 1:
            raise InputError(
                f"Expected rows of {self.n_classes} probabilities, {self.n_classes} classes, a loss, and "
                f"{self.n_classes} gradients per input of the last layer, found {rows.shape[1]} columns; give the "
                "target's number of classes."
            )
        self._mean, spread = rows.mean(axis=0), rows.std(axis=0)
        self._scale = np.where(spread > 0, spread, 1.0)  # a column that is always the same says nothing
        x, y = self._standardised(rows), torch.from_numpy(labels).float()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self._layers = _Layers(self.n_classes, n_inputs).train()
            optimiser = torch.optim.Adam(self._layers.parameters(), lr=self.step_size)
            for _ in range(self.epochs):
                for chosen in torch.split(torch.randperm(len(x)), self.batch):
                    optimiser.zero_grad()
                    loss = functional.mse_loss(self._layers(x[chosen]).sigmoid(), y[chosen])
                    loss.backward()  # type: ignore[no-untyped-call]
                    optimiser.step()
        self._layers.eval()
        return self

    @torch.no_grad()
    def predict_proba(self, rows: Float[np.ndarray, "record feature"]) -> Float[np.ndarray, "record side"]:
        """Return the probability of 0 and of 1, each with all its digits."""
        logits = self._layers(self._standardised(rows)).double()
        return np.asarray(torch.stack([(-logits).sigmoid(), logits.sigmoid()], dim=1).numpy())

    def _standardised(self, rows: np.ndarray) -> Tensor:
        return torch.from_numpy((rows - self._mean) / self._scale).float()


class _Layers(nn.Module):
    def __init__(self, n_classes: int, n_inputs: int) -> None:
        super().__init__()
        self.sizes = n_classes, n_classes, 1, n_inputs * n_classes
        self.n_classes = n_classes
        self.parts = nn.ModuleList(_perceptron(size, 128, 64) for size in self.sizes[:3])
        # A filter as wide as an input has gradients is one linear layer for all inputs.
        self.filters = nn.Sequential(nn.Dropout(0.2), nn.Linear(n_classes, _FILTERS), nn.ReLU(), nn.Flatten())
        self.of_filters = nn.Sequential(nn.Dropout(0.2), _perceptron(n_inputs * _FILTERS, 128, 64))
        self.encoder = nn.Sequential(_perceptron(4 * 64, 256, 128, 64), nn.Linear(64, 1))
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)

    def forward(self, rows: Tensor) -> Tensor:
        *given, gradients = torch.split(rows, list(self.sizes), dim=1)
        read = [part(values) for part, values in zip(self.parts, given, strict=True)]
        read.append(self.of_filters(self.filters(gradients.reshape(len(rows), -1, self.n_classes))))
        found: Tensor = self.encoder(torch.cat(read, dim=1))[:, 0]
        return found


def _perceptron(*sizes: int) -> nn.Sequential:
    pairs = pairwise(sizes)
    return nn.Sequential(*(layer for before, after in pairs for layer in (nn.Linear(before, after), nn.ReLU())))
