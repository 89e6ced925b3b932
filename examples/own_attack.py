"""An attack of your own: it keeps the laws, is audited as ours are, and becomes a feature of the learnt ratio."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier

from vestige import ShadowTraining, attacks, audit, testing


def margin(p_true: np.ndarray) -> np.ndarray:
    """Confidence in the true class less that in all others."""
    return 2 * p_true - 1


print(testing.check_attack(margin))
(x, y), order = load_digits(return_X_y=True), np.random.default_rng(0).permutation(800)
sides = [(x[half], y[half]) for half in np.array_split(order, 2)]
learnt = attacks.named("learnt_ratio").with_options(also=[margin])
forest, trained = RandomForestClassifier(30, random_state=0).fit(*sides[0]), ShadowTraining("same", n_models=6)
print(audit(forest, *sides, adversary=trained, attacks=["entropy", margin, learnt], run="RUN"))
