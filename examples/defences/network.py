"""A network on a part of scikit-learn's digits: as it is, with differential privacy, and stopped early."""

from dataclasses import replace
from functools import partial

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from vestige import Records, TorchRecipe
from vestige.training.dp_sgd import DPSGD


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


adam = partial(torch.optim.Adam, lr=3e-3)
train = TorchRecipe(network, optimiser=adam, epochs=60, batch_size=64)
private = replace(train, optimiser=partial(torch.optim.Adam, lr=1e-2), epochs=15, defences=(DPSGD(1.0, epsilon=8.0),))
stopped = replace(train, epochs=5)


def records() -> Records:
    pixels, digits = load_digits(return_X_y=True)
    return Records((pixels[:800] / 16).astype(np.float32), digits[:800])
