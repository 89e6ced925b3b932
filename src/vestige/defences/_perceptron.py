"""A small fully connected network in numpy: what a defence fits and keeps as a value."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float

from vestige.core.digests import digest_of_columns

_IN_CACHE = 512  # rows

Gradient = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From outputs, and the rows they are of, to the gradient of each row's loss in the outputs."""


@dataclass(frozen=True, eq=False)
class Perceptron:
    """Linear layers with ReLU between them; what its outputs mean is its owner's.

    Attributes:
        weights: Of each layer, inputs x outputs.
        biases: Of each layer.
    """

    weights: tuple[Float[np.ndarray, "_ _"], ...]
    biases: tuple[Float[np.ndarray, " _"], ...]

    @classmethod
    def drawn(cls, sizes: Sequence[int], rng: np.random.Generator) -> "Perceptron":
        """Return one with Glorot's uniform weights and biases of 0."""
        limits = [np.sqrt(6 / (n_in + n_out)) for n_in, n_out in pairwise(sizes)]
        weights = tuple(rng.uniform(-limit, limit, size) for limit, size in zip(limits, pairwise(sizes), strict=True))
        return cls(weights, tuple(np.zeros(n_out) for n_out in sizes[1:]))

    def layers(self, rows: Float[np.ndarray, "row input"]) -> list[np.ndarray]:
        """Return the inputs of every layer, and the outputs last."""
        values = [rows]
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            found = values[-1] @ weight
            found += bias
            values.append(np.maximum(found, 0.0, out=found))
        return [*values, values[-1] @ self.weights[-1] + self.biases[-1]]

    def outputs(self, rows: Float[np.ndarray, "row input"]) -> Float[np.ndarray, "row output"]:
        """Return the outputs alone."""
        return self.layers(rows)[-1]

    def output_and_slope(
        self, rows: Float[np.ndarray, "row input"]
    ) -> tuple[Float[np.ndarray, " row"], Float[np.ndarray, "row input"]]:
        """Return the only output, and its gradient in the inputs; a few rows at a time, which a core's cache holds."""
        outputs, slopes = np.empty(len(rows)), np.empty_like(rows)
        for start in range(0, len(rows), _IN_CACHE):
            some = slice(start, start + _IN_CACHE)
            layers = self.layers(rows[some])
            outputs[some], slopes[some] = layers[-1][:, 0], self.backwards(layers, np.ones_like(layers[-1]))[0]
        return outputs, slopes

    def backwards(self, layers: list[np.ndarray], gradient: np.ndarray) -> list[np.ndarray]:
        """Return the gradient in what every layer gives, and before them that in the inputs, of one in the outputs."""
        gradients = [gradient]
        for number in range(len(self.weights) - 1, 0, -1):
            before = gradients[0] @ self.weights[number].T
            before *= layers[number] > 0
            gradients.insert(0, before)
        return [gradients[0] @ self.weights[0].T, *gradients]

    def trained(
        self,
        rows: Float[np.ndarray, "row input"],
        gradient: Gradient,
        *,
        epochs: int,
        rate: float,
        batch: int,
        rng: np.random.Generator,
    ) -> "Perceptron":
        """Return it after plain gradient descent on full batches of the rows, which are shuffled every epoch.

        It is trained in float32, which is what released networks are of, and returned in float64.
        """
        net, table = self._as(np.float32), rows.astype(np.float32)
        weights, biases = net.weights, net.biases
        size = min(batch, len(rows))
        for _ in range(epochs):
            order = rng.permutation(len(rows))
            for start in range(0, len(rows) - size + 1, size):
                some = order[start : start + size]
                layers = net.layers(table[some])
                gradients = net.backwards(layers, gradient(layers[-1], some).astype(np.float32) * (rate / size))[1:]
                for weight, bias, given, change in zip(weights, biases, layers[:-1], gradients, strict=True):
                    weight -= given.T @ change  # its own copy
                    bias -= change.sum(axis=0)
        return net._as(np.float64)

    def _as(self, dtype: Any) -> "Perceptron":
        weights = tuple(np.array(values, dtype=dtype) for values in self.weights)
        return replace(self, weights=weights, biases=tuple(np.array(values, dtype=dtype) for values in self.biases))

    @property
    def digest(self) -> str:
        """SHA-256 of all weights."""
        return digest_of_columns({str(n): values for n, values in enumerate((*self.weights, *self.biases))})
