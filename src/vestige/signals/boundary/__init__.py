"""Boundary distances: how far a record is from where the model decides otherwise, most of them from labels alone.

`hop_skip_jump` is the published estimator, `surfree` needs fewer queries; both give `BoundaryDistances`. Farther means
member. `settlement` ends records whose verdict stands. `carlini_wagner` follows gradients instead.
"""

from vestige.signals.boundary.carlini_wagner import Descent, carlini_wagner
from vestige.signals.boundary.hop_skip_jump import hop_skip_jump
from vestige.signals.boundary.search import BUDGETS, BoundaryDistances, Settled, Starts, distances_of_copies
from vestige.signals.boundary.settling import CHECKPOINTS, Settlement, settlement
from vestige.signals.boundary.surfree import surfree

__all__ = [
    "BUDGETS",
    "CHECKPOINTS",
    "BoundaryDistances",
    "Descent",
    "Settled",
    "Settlement",
    "Starts",
    "carlini_wagner",
    "distances_of_copies",
    "hop_skip_jump",
    "settlement",
    "surfree",
]
