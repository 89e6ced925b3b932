"""A probe of your own: copies with Laplace noise, counted by the attack that counts noisy copies."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from sklearn.datasets import make_classification
from sklearn.tree import DecisionTreeClassifier

import vestige
from vestige.auditing.label_only.copies import CopiesOfRecords
from vestige.core.inputs import InputSpace
from vestige.core.records import Records
from vestige.core.targets import LabelTarget
from vestige.signals.label_only.random_augmentations import random_augmentation_labels


def shaken(batch: np.ndarray, rng: np.random.Generator, *, scale: float) -> np.ndarray:
    """A batch with noise, all of its randomness from the generator."""
    return batch + rng.laplace(scale=scale, size=batch.shape)


@dataclass(frozen=True)
class LaplaceCopies(CopiesOfRecords):
    """Copies with Laplace noise; the scale is chosen on the first shadow model."""

    n_draws: int = 50
    scales: tuple[float, ...] = (0.01, 0.05, 0.2)

    @property
    def attacks(self) -> tuple[str, ...]:
        """What reads it: the attack that counts copies first."""
        return ("noise_robustness", "label_only_likelihood_ratio")

    def strengths(self, pool: Records, space: InputSpace) -> tuple[float, ...]:
        """Return the scales to choose from, the weakest first."""
        return self.scales

    def n_queries(self, strength: float) -> int:
        """Return queries per record: the plan and the budget count them before any is sent."""
        return self.n_draws

    def ask(self, target: LabelTarget, pool: Records, space: InputSpace, strength: float, seed: int) -> np.ndarray:
        """Return whether each copy of each record gets the record's class; draws are the same for every model."""
        noise = partial(shaken, scale=strength)
        records = np.arange(pool.n_records)
        return random_augmentation_labels(target, pool.inputs, pool.labels, records, noise, self.n_draws, seed)


if __name__ == "__main__":
    x, y = make_classification(400, flip_y=0.3, random_state=0)
    tree = DecisionTreeClassifier(random_state=0).fit(x[:200], y[:200])
    asked = vestige.Querying(access="label", label_only=(LaplaceCopies(),))
    training = vestige.ShadowTraining(vestige.SklearnRecipe(tree), n_models=4)
    result = vestige.audit(tree, (x[:200], y[:200]), (x[200:], y[200:]), querying=asked, adversary=training)
    print(result)
    for attack in LaplaceCopies().attacks:
        print(f"{attack}: {result.provenance.definitions[attack]}")
