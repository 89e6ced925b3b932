"""A defence of answers: the largest probability stays, and the other classes share the rest evenly.

`vestige compare-defences plan.toml --out run` compares it; `plan.toml` stands beside this file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier

from vestige import Records, SklearnRecipe
from vestige.core.answer_defence import table_of, with_labels
from vestige.core.outputs import Probabilities
from vestige.core.targets import Answers


@dataclass(frozen=True)
class EvenRest:
    """Hides what the classes that were not predicted got."""

    keeps_labels: ClassVar[bool] = True

    def __call__(self, answers: Answers) -> Probabilities:
        """Return the answers with the rest shared."""
        p = table_of(answers)
        labels = p.argmax(axis=1)
        top = p[np.arange(len(p)), labels]
        shared = np.repeat((1 - top)[:, None] / (p.shape[1] - 1), p.shape[1], axis=1)
        shared[np.arange(len(p)), labels] = top
        return with_labels(shared, labels)

    def identity(self) -> Mapping[str, Any]:
        """Return what decides it."""
        return {"defence": "even rest"}


defence = EvenRest()
train = SklearnRecipe(RandomForestClassifier(20))


def records() -> Records:
    """Records to try it on."""
    inputs, labels = make_classification(600, n_classes=4, n_informative=6, flip_y=0.2, random_state=0)
    return Records(inputs, labels)
