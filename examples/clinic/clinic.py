"""An invented clinic, for the code in `docs/`: `python clinic.py` writes its files into the current folder.

800 patients with ten measurements each, whose diagnosis follows from them in four cases of five. Of 400 the model has
learnt all it could; a second model was trained in the same way on other patients.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier

from vestige import Records

CLASSES = np.array(["benign", "malignant"])
COLUMNS = [f"measurement_{k}" for k in range(10)]

_inputs, _codes = make_classification(1600, len(COLUMNS), n_informative=5, flip_y=0.4, random_state=0)
_all = pd.DataFrame(_inputs.round(3), columns=COLUMNS).assign(
    outcome=CLASSES[_codes],
    patient=[f"p{n:04}" for n in range(1600)],
    ward=np.random.default_rng(0).choice(["east", "west"], 1600),
    admitted=np.random.default_rng(1).integers(2015, 2025, 1600),
)
train, test, elsewhere = _all[:400], _all[400:800], _all[800:]
x_in, y_in, patients_in = train[COLUMNS].to_numpy(), train["outcome"].to_numpy(str), train["patient"].to_numpy(str)
x_out, y_out, patients_out = test[COLUMNS].to_numpy(), test["outcome"].to_numpy(str), test["patient"].to_numpy(str)


def fit(inputs: Any, labels: Any, *, seed: int = 0) -> RandomForestClassifier:
    """Train as the clinic does."""
    return RandomForestClassifier(30, random_state=seed).fit(inputs, labels)


model = fit(x_in, y_in)


def members() -> Records:
    return Records(x_in, y_in, subjects=patients_in)


def nonmembers() -> Records:
    return Records(x_out, y_out, subjects=patients_out)


def predictions(trained: RandomForestClassifier, known: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """What a model says of the patients it was trained on, and of others, as a table that Vestige reads."""
    both = pd.concat([known.assign(member=1), others.assign(member=0)])
    probs = trained.predict_proba(both[COLUMNS].to_numpy())
    table = both[["patient", "member", "ward", "admitted"]].assign(id=both["patient"], label=both["outcome"])
    return table.assign(**{f"prob_{name}": probs[:, k] for k, name in enumerate(CLASSES)})


_predicted = predictions(model, train, test)
probs = _predicted[[f"prob_{name}" for name in CLASSES]].to_numpy()
labels = (_predicted["label"] == "malignant").to_numpy(int)
member, ids = _predicted["member"].to_numpy(bool), _predicted["id"].to_numpy(str)

_second = predictions(
    fit(elsewhere[COLUMNS][:400].to_numpy(), elsewhere["outcome"][:400]), elsewhere[:400], elsewhere[400:]
)
shadow_probs = _second[[f"prob_{name}" for name in CLASSES]].to_numpy()
shadow_labels, shadow_member = (_second["label"] == "malignant").to_numpy(int), _second["member"].to_numpy(bool)


def write_files(folder: Path) -> None:
    """Write predictions of both models, records of both sides, and the model itself."""
    import skops.io

    _predicted.to_csv(folder / "predictions.csv", index=False)
    one_column = _predicted.rename(columns={"prob_malignant": "p_malignant"})
    one_column[["id", "label", "member", "p_malignant"]].to_csv(folder / "one_column.csv", index=False)
    _second.to_csv(folder / "shadow.csv", index=False)
    train[[*COLUMNS, "outcome", "patient"]].to_csv(folder / "train.csv", index_label="id")
    test[[*COLUMNS, "outcome", "patient"]].to_csv(folder / "test.csv", index_label="id")
    skops.io.dump(model, folder / "model.skops")


if __name__ == "__main__":
    write_files(Path())
