"""Transfer, and transfer with DP-SGD, as defences of a comparison: a CNN that has seen digits 0-4 learns digits 5-9."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from vestige import Records, ShadowTraining, TorchRecipe, silent
from vestige.auditing.comparison.compare import compare_defences
from vestige.core.errors import InputError
from vestige.training.dp_sgd import DPSGD
from vestige.training.executors.in_process import InProcess
from vestige.training.pretrained import Pretrained, Trainable, save_weights
from vestige.training.strategies import Measured, Strategy


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(128, 32), nn.ReLU(), nn.Linear(32, 5),
    )  # fmt: skip


ADAM = partial(torch.optim.Adam, lr=3e-3)
PLAIN = TorchRecipe(cnn, optimiser=ADAM, epochs=12, batch_size=32)


def digits(low: int, high: int, n: int) -> Records:
    pixels, classes = load_digits(return_X_y=True)
    rows = np.flatnonzero((classes >= low) & (classes <= high))[:n]
    return Records((pixels[rows].reshape(-1, 1, 8, 8) / 16).astype(np.float32), classes[rows] - low)


def test_transfer_and_private_transfer_are_compared_on_images(tmp_path, monkeypatch):
    measured = [Measured(Strategy(), 0.001)]
    monkeypatch.setattr("vestige.auditing.shadows.cost.measure_torch", lambda *_, **__: measured)
    source, audited = digits(0, 4, 400), digits(5, 9, 240)
    file = save_weights(PLAIN.fit(source, seed=0), tmp_path / "source.safetensors")
    head = partial(Pretrained, cnn, file, trainable=Trainable.LAST)
    last = replace(PLAIN, network=head(records=source))
    dp = DPSGD(1.0, epsilon=8.0)
    defences: dict[str, Any] = {
        "transfer, last layer": last,
        "transfer": replace(last, network=Pretrained(cnn, file, trainable=Trainable.ALL, records=source)),
        "DP + transfer": replace(last, optimiser=partial(torch.optim.Adam, lr=1e-2), defences=(dp,)),
        "DP": replace(PLAIN, optimiser=partial(torch.optim.Adam, lr=1e-2), defences=(dp,)),
    }
    training = ShadowTraining(PLAIN, n_models=6, bank=tmp_path / "bank", executor=InProcess())
    found = compare_defences(audited, training, defences, attacks=["loss"], progress=silent)
    assert not found.failures
    table = found.table[found.table.metric == "auc"]
    areas = table[table.attack == "loss"].set_index("defence").value
    accuracies = table.groupby("defence").test_accuracy.first()
    assert areas["DP + transfer"] < areas["none"]
    assert accuracies["transfer, last layer"] > 0.4  # 0.2 by chance
    assert accuracies["DP + transfer"] > 0.3
    said = next(one for one in found.sentences if one.startswith("transfer, last layer: "))
    assert "Better than weakly private DP-SGD (DP" in said
    shared = replace(last, network=head(records=audited))
    with pytest.raises(InputError, match="audited"):
        compare_defences(audited, training, {"transfer": shared}, progress=silent)
