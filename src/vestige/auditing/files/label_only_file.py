"""`[label_only]` of an audit file: what label-only attacks ask."""

from collections.abc import Callable
from typing import Literal

from pydantic import Field

from vestige.auditing.files.target_file import Part
from vestige.auditing.label_only.boundary_search import BoundarySearch
from vestige.auditing.label_only.combined_distances import CombinedDistances
from vestige.auditing.label_only.noisy_copies import NoisyCopies
from vestige.auditing.label_only.probe import Probe
from vestige.auditing.label_only.rotations import Rotations
from vestige.auditing.label_only.settled_search import SettledSearch
from vestige.auditing.label_only.translations import Translations
from vestige.core.errors import InputError
from vestige.signals.boundary import BoundaryDistances, hop_skip_jump, surfree
from vestige.signals.label_only.noise import NoiseStrength

_ESTIMATORS: dict[str, Callable[..., BoundaryDistances]] = {"surfree": surfree, "hop_skip_jump": hop_skip_jump}


class NoisePart(Part):
    """Noisy copies: how many, and strengths to choose from; both lists side by side, if both are given."""

    n_draws: int = NoisyCopies().n_draws
    gaussian: list[float] = Field(default_factory=list)
    flips: list[float] = Field(default_factory=list)


class SettledPart(Part):
    """The search for the decision boundary that ends as soon as a shadow model's threshold is settled."""

    n_queries: int = SettledSearch().n_queries
    estimator: Literal["surfree", "hop_skip_jump"] = "surfree"


class CombinedPart(Part):
    """The search for the decision boundary around an image and its shifted copies."""

    distance: int = CombinedDistances().distance
    n_queries: int = CombinedDistances().n_queries
    estimator: Literal["surfree", "hop_skip_jump"] = "surfree"


class BoundaryPart(Part):
    """The search for the decision boundary, and with how many shadow models it is compared."""

    n_queries: int = BoundarySearch().n_queries
    estimator: Literal["surfree", "hop_skip_jump"] = "surfree"
    n_references: int = BoundarySearch().n_references


class LabelOnlyPart(Part):
    """What label-only attacks ask, each kind if it is named.

    Attributes:
        noise: Noisy copies.
        translations: Distances to choose from [pixels].
        rotations: Angles to choose from [degrees].
        boundary: The search for the decision boundary.
        combined: The same around shifted copies.
        settled: The same, ended as soon as a verdict stands.
    """

    noise: NoisePart | None = None
    translations: list[int] | None = None
    rotations: list[float] | None = None
    boundary: BoundaryPart | None = None
    combined: CombinedPart | None = None
    settled: SettledPart | None = None

    def probes(self) -> tuple[Probe, ...]:
        """Return them.

        Raises:
            InputError: A number is out of range, or strengths of the two kinds of noise do not pair.
        """
        found: list[Probe] = []
        if self.noise is not None:
            found.append(NoisyCopies(self.noise.n_draws, _strengths(self.noise)))
        if self.translations is not None:
            found.append(Translations(tuple(self.translations) or Translations().choices))
        if self.rotations is not None:
            found.append(Rotations(tuple(self.rotations) or Rotations().choices))
        if self.boundary is not None:
            part = self.boundary
            found.append(BoundarySearch(part.n_queries, _ESTIMATORS[part.estimator], part.n_references))
        if self.combined is not None:
            around = self.combined
            found.append(CombinedDistances(around.distance, around.n_queries, _ESTIMATORS[around.estimator]))
        if self.settled is not None:
            found.append(SettledSearch(self.settled.n_queries, _ESTIMATORS[self.settled.estimator]))
        return tuple(found)


def _strengths(noise: NoisePart) -> tuple[NoiseStrength, ...]:
    gaussian, flips = noise.gaussian, noise.flips
    if gaussian and flips and len(gaussian) != len(flips):
        raise InputError(
            f"Expected as many gaussian as flips in noise of [label_only], found {len(gaussian)} and {len(flips)}: "
            "each pair is a strength; leave one list out, or write both as long."
        )
    n = max(len(gaussian), len(flips))
    pairs = zip(gaussian or [0.0] * n, flips or [0.0] * n, strict=True)
    return tuple(NoiseStrength(gaussian=share, flips=flip) for share, flip in pairs)
