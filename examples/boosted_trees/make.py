"""Fit XGBoost on half of the breast cancer data; write its own .ubj, and both halves as Parquet."""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer
from xgboost import XGBClassifier

here = Path(__file__).parent
data = load_breast_cancer(as_frame=True)
ours = np.random.default_rng(0).permutation(len(data.target)) < len(data.target) // 2
model = XGBClassifier(n_estimators=200, max_depth=6).fit(data.data[ours], data.target[ours])

model.save_model(here / "model.ubj")
table = data.data.assign(label=data.target).reset_index(names="id")
table[ours].to_parquet(here / "members.parquet")
table[~ours].to_parquet(here / "nonmembers.parquet")
