"""An attack of your own: it keeps the laws, and is audited with the thresholds and intervals that ours have."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier

import vestige
from vestige.testing import check_attack


def margin(probabilities: np.ndarray) -> np.ndarray:
    """Largest probability less the second largest."""
    return np.diff(np.sort(probabilities, axis=1)[:, -2:], axis=1)[:, 0]


print(check_attack(margin))
x, y = load_digits(return_X_y=True)
member = np.random.default_rng(0).permutation(len(y)) < len(y) // 2
forest = RandomForestClassifier(random_state=0).fit(x[member], y[member])
print(vestige.audit(vestige.Predictions(forest.predict_proba(x), y, member), attacks=["all", margin], run="RUN"))
