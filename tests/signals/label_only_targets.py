"""Targets of the tests that have labels and nothing else, and count what they are asked."""

import numpy as np


class Linear:
    """Class 1 where w x > b; keeps its queries."""

    n_classes = 2
    __slots__ = ("b", "queries", "records", "sizes", "w")

    def __init__(self, w, b):
        self.w, self.b, self.queries, self.records, self.sizes = np.asarray(w, dtype=float), b, [], [], []

    def labels(self, inputs, records):
        self.queries.append(np.array(inputs))
        self.records.extend(np.asarray(records).tolist())
        self.sizes.append(len(inputs))
        x = np.asarray(inputs, dtype=float).reshape(len(inputs), -1)
        return (x @ self.w > self.b).astype(np.int64)

    @property
    def seen(self):
        return np.concatenate(self.queries)


class Column:
    """The class is whether one column of a table has a value; keeps its queries."""

    n_classes = 2

    def __init__(self, name, value):
        self.name, self.value, self.queries = name, value, []

    def labels(self, inputs, records):
        assert len(inputs) == len(records)
        self.queries.append(inputs)
        return np.asarray(inputs[self.name].astype(object) == self.value).astype(np.int64)
