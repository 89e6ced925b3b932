"""Fit a forest on half of scikit-learn's digits; export it as ONNX, and write both halves here."""

from pathlib import Path

import numpy as np
from skl2onnx import to_onnx
from sklearn.datasets import load_digits
from sklearn.ensemble import ExtraTreesClassifier

here = Path(__file__).parent
x, y = load_digits(return_X_y=True)
x = x.astype(np.float32)
ours = np.random.default_rng(0).permutation(len(y)) < len(y) // 2
forest = ExtraTreesClassifier(100, random_state=0).fit(x[ours], y[ours])

(here / "model.onnx").write_bytes(to_onnx(forest, x[:1], options={"zipmap": False}).SerializeToString())
for name, side in (("members", ours), ("nonmembers", ~ours)):
    np.savez(here / f"{name}.npz", inputs=x[side], labels=y[side], ids=np.flatnonzero(side))
