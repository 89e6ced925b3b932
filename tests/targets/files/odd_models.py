"""What children open in the tests of `apart`: models that crash, hang and worse when they are told to."""

import os
import signal
import time
import warnings

import numpy as np

from vestige.core.errors import UnsupportedModelError
from vestige.core.outputs import PredictedLabels, Probabilities
from vestige.targets.answer_format import AnswerFormat


class Odd(BaseException):
    pass


class Model:
    """It does what the first record says."""

    n_classes = 2

    def answers(self, inputs):
        odd = {1: crash, 2: hang, 3: exhaust, 4: raise_odd, 5: warn}.get(int(inputs[0, 0]))
        if odd is not None:
            odd()
        print("what a library has to say")
        return Probabilities(np.tile([0.25, 0.75], (len(inputs), 1)).astype(np.float32))


def crash(*_):
    os.kill(os.getpid(), signal.SIGSEGV)


def hang(*_):
    time.sleep(600)


def exhaust(*_):
    np.ones(10**13)


def raise_odd(*_):
    raise Odd("of a library in Rust")


def warn(*_):
    warnings.warn("saved by an older version", stacklevel=1)


def refuse(*_):
    raise UnsupportedModelError("Expected one kind, found another.")


def open_model(path, answers=None):
    os.write(1, b"what a library prints without asking Python")
    return Model()


def open_labels(path, answers):
    model = Model()
    model.format = AnswerFormat(PredictedLabels)
    return model
