"""Honest models that `masked_answers` flags: `python -m tests.evaluation.preflight.masked_answers_study`, 10 minutes.

15 learners, over- and underfitted, on 8 data sets, 3 draws each: 360 models, each trained on half of its records.
Stored in `masked_answers.json`: how many the check flags, and how many it would flag if any largest probability that
tells significantly less than right and wrong were enough (`literal`, a paired test).
"""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from scipy.stats import rankdata
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from vestige.evaluation.preflight.masked_answers import LEVEL, masked_answers, n_classes_told
from vestige.evaluation.roc import roc

RESULTS = Path(__file__).with_name("masked_answers.json")
DRAWS, MOST = 3, 1_200  # records
_Z = NormalDist().inv_cdf(1 - LEVEL)

MODELS: dict[str, Callable[[int], Any]] = {
    "network": lambda seed: MLPClassifier((64,), max_iter=150, random_state=seed),
    "network, 15 epochs": lambda seed: MLPClassifier((64,), max_iter=15, random_state=seed),
    "deeper network": lambda seed: MLPClassifier((128, 128), max_iter=60, learning_rate_init=0.003, random_state=seed),
    "forest": lambda seed: RandomForestClassifier(50, random_state=seed),
    "forest, 5 in a leaf": lambda seed: RandomForestClassifier(50, min_samples_leaf=5, random_state=seed),
    "extra trees, depth 8": lambda seed: ExtraTreesClassifier(50, max_depth=8, random_state=seed),
    "tree": lambda seed: DecisionTreeClassifier(random_state=seed),
    "tree, depth 6": lambda seed: DecisionTreeClassifier(max_depth=6, random_state=seed),
    "logistic regression": lambda seed: LogisticRegression(max_iter=200),
    "boosting": lambda seed: HistGradientBoostingClassifier(max_iter=25, random_state=seed),
    "5 neighbours": lambda seed: KNeighborsClassifier(5),
    "5 neighbours by distance": lambda seed: KNeighborsClassifier(5, weights="distance"),
    "naive Bayes": lambda seed: GaussianNB(),
    "discriminant analysis": lambda seed: LinearDiscriminantAnalysis(),
    "support vectors": lambda seed: SVC(probability=True, random_state=seed),
}

Drawn = tuple[np.ndarray, np.ndarray]


def clouds(n_classes: int, apart: float) -> Callable[[int], Drawn]:
    """Normal clouds about drawn centers."""

    def drawn(seed: int) -> Drawn:
        rng = np.random.default_rng([seed, n_classes, int(10 * apart)])
        labels, inputs = rng.integers(n_classes, size=MOST), rng.normal(size=(MOST, 20))
        return inputs + (rng.normal(size=(n_classes, 20)) * apart)[labels], labels

    return drawn


def bits(seed: int) -> Drawn:
    """20 classes, each a row of 80 bits, 38 % of which are turned."""
    rng = np.random.default_rng([seed, 77])
    labels, centers = rng.integers(20, size=MOST), rng.random((20, 80)) < 0.5
    return (centers[labels] ^ (rng.random((MOST, 80)) < 0.38)).astype(float), labels


def known(load: Callable[..., Drawn], wrong: float = 0.0) -> Callable[[int], Drawn]:
    """A set of scikit-learn's, some of its labels drawn anew."""

    def drawn(seed: int) -> Drawn:
        inputs, labels = load(return_X_y=True)
        rng = np.random.default_rng(seed)
        some = rng.permutation(len(inputs))[:MOST]
        inputs, labels = inputs[some], labels[some].copy()
        if wrong:
            anew = rng.random(len(labels)) < wrong
            labels[anew] = rng.integers(labels.max() + 1, size=anew.sum())
        return StandardScaler().fit_transform(inputs), labels

    return drawn


DATA: dict[str, Callable[[int], Drawn]] = {
    "2 classes": clouds(2, 0.3),
    "3 classes": clouds(3, 0.5),
    "6 classes": clouds(6, 0.6),
    "20 classes": clouds(20, 0.8),
    "bits": bits,
    "digits": known(load_digits),
    "digits, 30 % of labels drawn": known(load_digits, 0.3),
    "breast cancer, 20 % of labels drawn": known(load_breast_cancer, 0.2),
}


def flags(p: np.ndarray, labels: np.ndarray, member: np.ndarray) -> dict[str, bool]:
    """Whether the check flags answers, and whether the other would."""
    right, highest = (p.argmax(axis=1) == labels).astype(float), np.sort(p, axis=1)
    largest, lead = highest[:, -1], highest[:, -1] - highest[:, -2]
    told, sure, first = (roc(values[member], values[~member]) for values in (right, largest, lead))
    told_of = n_classes_told(p)
    decides = not (told_of == 0).all()
    found = masked_answers(sure, told, told_of, p.shape[1], lead=first)
    return {
        "check": found is not None,
        "literal": decides and below(np.zeros_like(right), right, member) and below(largest, right, member),
    }


def below(one: np.ndarray, other: np.ndarray, member: np.ndarray) -> bool:
    """Whether the area of one score is significantly below another's: a paired test (DeLong et al. 1988)."""
    gains = [b - a for a, b in zip(_placements(one, member), _placements(other, member), strict=True)]
    variance = sum(gain.var(ddof=1) / gain.size for gain in gains)
    return bool(gains[0].mean() > _Z * np.sqrt(max(variance, 1e-12)))


def _placements(scores: np.ndarray, member: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    sides = scores[member], scores[~member]
    ranks, n, m = rankdata(np.concatenate(sides)), sides[0].size, sides[1].size
    return (ranks[:n] - rankdata(sides[0])) / m, 1 - (ranks[n:] - rankdata(sides[1])) / n


def count(data: str, model: str, draws: int = DRAWS) -> dict[str, Any]:
    """How many of some honest models are flagged."""
    found = []
    for seed in range(draws):
        inputs, labels = DATA[data](seed)
        member = np.arange(len(labels)) < len(labels) // 2
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trained = MODELS[model](seed).fit(inputs[member], labels[member])
            found.append(flags(trained.predict_proba(inputs), labels, member))
    return {"data": data, "model": model, "models": draws, **{k: sum(f[k] for f in found) for k in found[0]}}


def main() -> None:
    rows = [count(data, model) for data in DATA for model in MODELS]
    RESULTS.write_text("[\n " + ",\n ".join(json.dumps(row) for row in rows) + "\n]\n", encoding="utf-8")
    print({name: sum(row[name] for row in rows) for name in ("models", "check", "literal")})


if __name__ == "__main__":
    main()
