"""A defence that trains: a share of the labels is drawn anew, so that a forest cannot remember each of them.

`module:name` of the recipe stands in `plan.toml`, beside the defence of answers in `even_rest.py`.
"""

from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from vestige.training.function_recipe import FunctionRecipe


def fit(inputs: Any, labels: np.ndarray, *, seed: int, share: float) -> RandomForestClassifier:
    """Train one model; everything that is drawn comes from the seed."""
    rng = np.random.default_rng(seed)
    drawn = np.where(rng.random(len(labels)) < share, rng.permutation(labels), labels)
    return RandomForestClassifier(20, random_state=seed % 2**31).fit(inputs, drawn)


defence = FunctionRecipe(fit, parameters={"share": 0.3})
