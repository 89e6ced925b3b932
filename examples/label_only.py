"""An audit by labels alone: a fitted tree, 8 trees trained like it, noisy copies and ways to the decision boundary."""

import numpy as np
from sklearn.datasets import make_classification
from sklearn.tree import DecisionTreeClassifier

import vestige
from vestige.auditing.label_only import BoundarySearch, NoisyCopies, SettledSearch

x, y = make_classification(800, flip_y=0.3, random_state=0)  # labels that can be remembered only
ours = np.random.default_rng(0).permutation(len(y)) < len(y) // 2
tree = DecisionTreeClassifier(random_state=0).fit(x[ours], y[ours])
probes = (NoisyCopies(50), BoundarySearch(100, n_references=2), SettledSearch(100))
print(
    vestige.audit(
        tree, members=vestige.Records(x[ours], y[ours]), nonmembers=vestige.Records(x[~ours], y[~ours]),
        querying=vestige.Querying(access="label", label_only=probes), run="RUN",
        adversary=vestige.ShadowTraining(vestige.SklearnRecipe(tree), n_models=8, bank="BANK"),
    )
)  # fmt: skip
