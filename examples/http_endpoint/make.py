"""Fit a forest on half of scikit-learn's digits, and write what MLServer needs to serve it; and both halves.

Then, in this folder: mlserver start .
"""

import json
from pathlib import Path

import joblib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import ExtraTreesClassifier

here = Path(__file__).parent
x, y = load_digits(return_X_y=True)
ours = np.random.default_rng(0).permutation(len(y)) < len(y) // 2
joblib.dump(ExtraTreesClassifier(20, random_state=0).fit(x[ours], y[ours]), here / "model.joblib")

model = {"uri": "./model.joblib", "version": "v1"}
served = {"name": "digits", "implementation": "mlserver_sklearn.SKLearnModel", "parameters": model}
server = {"host": "127.0.0.1", "http_port": 8080, "parallel_workers": 0}
(here / "model-settings.json").write_text(json.dumps(served))
(here / "settings.json").write_text(json.dumps(server))
for name, side in (("members", ours), ("nonmembers", ~ours)):
    np.savez(here / f"{name}.npz", inputs=x[side], labels=y[side], ids=np.flatnonzero(side))
