"""How a label-only audit asks: `Querying(probes=[...])` takes these."""

from .augmentations import Augmentations
from .boundary_search import BoundarySearch
from .combined_distances import CombinedDistances
from .gradient_search import GradientSearch
from .noisy_copies import NoisyCopies
from .rotations import Rotations
from .settled_search import SettledSearch
from .translations import Translations

__all__ = [
    "Augmentations",
    "BoundarySearch",
    "CombinedDistances",
    "GradientSearch",
    "NoisyCopies",
    "Rotations",
    "SettledSearch",
    "Translations",
]
