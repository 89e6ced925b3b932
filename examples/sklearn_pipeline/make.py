"""Fit a Pipeline on half of the breast cancer data; write it as skops, and both halves as CSV."""

from pathlib import Path

import numpy as np
import skops.io
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

here = Path(__file__).parent
data = load_breast_cancer(as_frame=True)
table = data.data.assign(diagnosis=data.target_names[data.target])
ours = np.random.default_rng(0).permutation(len(table)) < len(table) // 2

pipeline = make_pipeline(StandardScaler(), RandomForestClassifier(100, max_features=1, random_state=0))
pipeline.fit(data.data[ours], table["diagnosis"][ours])

skops.io.dump(pipeline, here / "model.skops")
table[ours].to_csv(here / "members.csv", index_label="id")
table[~ours].to_csv(here / "nonmembers.csv", index_label="id")
