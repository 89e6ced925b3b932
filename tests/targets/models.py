"""Models of the tests: whose answers and whose every query are known."""

import numpy as np

from vestige.core.errors import TargetError
from vestige.core.outputs import Logits, Probabilities
from vestige.core.targets import AnswerBatch


class Known:
    """Answers from the inputs alone, and remembers how many it was given."""

    n_classes = 3

    def __init__(self):
        self.seen = []

    def answers(self, inputs):
        self.seen.extend(np.asarray(inputs).tolist())
        return Probabilities(probabilities_of(inputs))


class Far(Known):
    """The same in parts, out of order, that can die after some of them."""

    identity = "http://far.example/v2/models/known"

    def __init__(self, *, dies_after=None, version="1", batch=4):
        super().__init__()
        self.dies_after, self.version, self.batch = dies_after, version, batch

    def answers_in_batches(self, inputs, allowance=None):
        starts = list(range(0, len(inputs), self.batch))
        for number, start in enumerate(reversed(starts)):
            if number == self.dies_after:
                raise TargetError("Expected an answer, found a dead server.")
            rows = np.arange(start, min(start + self.batch, len(inputs)))
            answers = self.answers(inputs.iloc[rows] if hasattr(inputs, "iloc") else inputs[rows])
            yield AnswerBatch(rows, answers, self.version, n_failed=number % 2)


class White(Known):
    """A model with gradients."""

    def answers(self, inputs):
        return Logits(np.log(super().answers(inputs).whole()))

    def gradient_norms(self, inputs, labels):
        return np.asarray(inputs)[:, 0] + labels

    def last_layer_gradients(self, inputs, labels):
        for x, y in zip(np.asarray(inputs, dtype=np.float32), labels, strict=True):
            yield np.outer(x, np.eye(3, dtype=np.float32)[y])[None]


def probabilities_of(inputs):
    x = np.asarray(inputs, dtype=np.float64).reshape(len(inputs), -1)
    powers = np.exp(np.column_stack([np.sin(x.sum(axis=1) * (k + 1)) for k in range(3)]))
    return powers / powers.sum(axis=1, keepdims=True)
