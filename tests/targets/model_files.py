"""Models in files for the tests, each made by its own exporter, and files that would run code."""

import os
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

X = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
Y = np.digitize(X[:, 0], [-0.5, 0.5])
IMAGES = np.random.default_rng(1).normal(size=(5, 1, 8, 8)).astype(np.float32)


def perceptron() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3)).eval()


def convolution() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)).eval()


def export_program(
    module: nn.Module, path: Path, inputs: np.ndarray = X, n_records: int | None = None, most: int | None = None
) -> Path:
    """Save a module by torch.export; for any number of records unless one is given."""
    shapes = None if n_records else ({0: torch.export.Dim("batch", min=1, max=most)},)
    example = torch.from_numpy(inputs[: n_records or 4])
    torch.export.save(torch.export.export(module, (example,), dynamic_shapes=shapes), path)
    return path


def export_onnx(
    module: nn.Module, path: Path, inputs: np.ndarray = X, n_records: int | None = None, name: str = "logits"
) -> Path:
    """Save a module by torch's ONNX exporter; for any number of records unless one is given."""
    shapes = None if n_records else ({0: torch.export.Dim("batch")},)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter uses what torch itself has deprecated
        torch.onnx.export(
            module,
            (torch.from_numpy(inputs[: n_records or 4]),),
            path,
            dynamo=True,
            dynamic_shapes=shapes,
            input_names=["records"],
            output_names=[name],
            external_data=False,
            verbose=False,
        )
    return path


class Planted:
    """Unpickled, it leaves a file."""

    def __init__(self, here: Path) -> None:
        self.here = here

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.here),)


def planted_pickle(path: Path, here: Path) -> Path:
    path.write_bytes(pickle.dumps(Planted(here)))
    return path


def planted_checkpoint(path: Path, here: Path) -> Path:
    """A pickle in the archive that torch saves."""
    torch.save({"weight": Planted(here)}, path)
    return path


def table_of(answers: Any) -> np.ndarray:
    return np.concatenate(list(answers.table.blocks(1 << 20)))
