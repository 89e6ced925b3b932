"""A demonstration on real data that needs no network: an overfitted digit classifier and a shadow like it."""

from pathlib import Path

import numpy as np

from vestige.core.errors import OutputError
from vestige.core.outputs import Probabilities
from vestige.core.predictions import Predictions

_TRAINING = 300  # so few digits are learned by heart
_NONMEMBERS = 1000  # enough to resolve a false-positive rate of 1 %


def demo_predictions(seed: int = 0) -> tuple[Predictions, Predictions]:
    """Train a target and a shadow forest on disjoint handwritten digits and query both.

    The data are the 1,797 digits that scikit-learn ships. Target: 300 members, 1,000 nonmembers; shadow: 300 members,
    197 nonmembers. Both are random forests with scikit-learn's defaults, which know their training digits
    nearly by heart.

    Returns:
        Predictions of the target and of the shadow.
    """
    from sklearn.datasets import load_digits
    from sklearn.ensemble import RandomForestClassifier

    digits = load_digits()
    order = np.random.default_rng(seed).permutation(len(digits.target))
    cut = np.cumsum([_TRAINING, _NONMEMBERS, _TRAINING])
    parts = np.split(order, cut)
    models = []
    for training, others in ((parts[0], parts[1]), (parts[2], parts[3])):
        forest = RandomForestClassifier(n_estimators=100, random_state=seed)
        forest.fit(digits.data[training], digits.target[training])
        rows = np.concatenate([training, others])
        models.append(
            Predictions(
                Probabilities(forest.predict_proba(digits.data[rows])),
                labels=digits.target[rows],
                member=np.arange(rows.size) < training.size,
                ids=rows,
                inputs=digits.data[rows],
            )
        )
    return models[0], models[1]


def write_demo_inputs(folder: Path, seed: int = 0) -> list[Path]:
    """Write the demonstration's predictions in the shapes people have: one npz, one table, two tables, a shadow table.

    Raises:
        OutputError: The folder cannot be written.
    """
    import pandas as pd

    target, shadow = demo_predictions(seed)
    arrays: dict[str, np.ndarray] = {}
    tables: dict[str, pd.DataFrame] = {}
    for prefix, predictions in (("", target), ("shadow_", shadow)):
        probs = predictions.output(Probabilities).whole()
        arrays |= {
            f"{prefix}probs": probs,
            f"{prefix}labels": predictions.labels,
            f"{prefix}member": predictions.member.astype(np.int8),
            f"{prefix}ids": predictions.ids,
            f"{prefix}inputs": predictions.inputs.astype(np.float32),
        }
        columns = {"id": predictions.ids, "label": predictions.labels, "member": predictions.member.astype(int)}
        tables[prefix] = pd.DataFrame(columns | {f"prob_{c}": probs[:, c] for c in range(probs.shape[1])})
    one = tables[""]
    files = {
        "target.csv": one,
        "members.csv": one[one["member"] == 1].drop(columns="member"),
        "nonmembers.csv": one[one["member"] == 0].drop(columns="member"),
        "shadow.csv": tables["shadow_"],
    }
    names = ("predictions.npz", *files)
    for name in names:
        if (folder / name).exists():
            raise OutputError(f"Expected a folder without {name}, found one in {folder}; name another folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(folder / "predictions.npz", allow_pickle=False, **arrays)
        for name, table in files.items():
            table.to_csv(folder / name, index=False)
    except OSError as error:
        raise OutputError(
            f"Expected to write the example inputs to {folder}, found {error.strerror or error}; name another folder."
        ) from None
    return [folder / name for name in names]
