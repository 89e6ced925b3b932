"""Targets of the tests of boundary distances: their boundaries are known, and every input they were sent."""

import numpy as np

from vestige.core.errors import TargetError


class Linear:
    """Two classes on the sides of a plane; remembers what it was asked, and about which record."""

    n_classes = 2

    def __init__(self, normal, offset):
        self.normal, self.offset = normal, offset
        self.asked, self.records = [], []

    def labels(self, inputs, records):
        self.asked.extend(row.tobytes() for row in inputs)
        self.records.extend(records.tolist())
        return (inputs.reshape(len(inputs), -1) @ self.normal + self.offset > 0).astype(np.int64)

    def distances(self, inputs):
        return np.abs(inputs.reshape(len(inputs), -1) @ self.normal + self.offset) / np.linalg.norm(self.normal)


class Constant:
    """Answers with one class whatever it is asked."""

    n_classes = 3

    def __init__(self):
        self.n_asked = 0

    def labels(self, inputs, records):
        self.n_asked += len(inputs)
        return np.zeros(len(inputs), dtype=np.int64)


class Undecided(Linear):
    """Answers anew each time near its boundary."""

    rng = np.random.default_rng(0)

    def labels(self, inputs, records):
        values = inputs.reshape(len(inputs), -1) @ self.normal + self.offset
        return (values + self.rng.normal(scale=0.05, size=len(values)) > 0).astype(np.int64)


class Dying(Linear):
    """Stops answering after so many inputs."""

    def __init__(self, normal, offset, lives):
        super().__init__(normal, offset)
        self.lives = lives

    def labels(self, inputs, records):
        if len(self.asked) + len(inputs) > self.lives:
            raise TargetError("Expected an answer, found a dead server.")
        return super().labels(inputs, records)


def linear(n_features, n_records, seed=0, kind=Linear, dtype=np.float64, **more):
    """A plane through the middle of the unit box, and records of class 0 at known distances up to 0.4 from it."""
    rng = np.random.default_rng(seed)
    normal = rng.normal(size=n_features)
    normal /= np.linalg.norm(normal)
    target = kind(normal, -0.5 * normal.sum(), **more)
    inputs = rng.uniform(0.3, 0.7, (n_records, n_features))
    along = inputs @ normal + target.offset + rng.uniform(0.1, 0.4, n_records)
    inputs = np.clip(inputs - along[:, None] * normal, 0, 1).astype(dtype)
    labels = np.zeros(n_records, dtype=np.int64)
    right = inputs @ normal + target.offset < -0.02
    return target, inputs[right], labels[right], np.flatnonzero(right)
