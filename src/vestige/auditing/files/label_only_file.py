"""`[label_only]` of an audit file: what label-only attacks ask."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from vestige.auditing.label_only.augmentations import Augmentations
from vestige.auditing.label_only.boundary_search import BoundarySearch
from vestige.auditing.label_only.combined_distances import CombinedDistances
from vestige.auditing.label_only.gradient_search import GradientSearch
from vestige.auditing.label_only.noisy_copies import NoisyCopies
from vestige.auditing.label_only.probe import Probe
from vestige.auditing.label_only.rotations import Rotations
from vestige.auditing.label_only.settled_search import SettledSearch
from vestige.auditing.label_only.translations import Translations
from vestige.core.errors import InputError
from vestige.core.schema import Schema
from vestige.signals.boundary import BoundaryDistances, hop_skip_jump, surfree
from vestige.signals.label_only.noise import NoiseStrength

_ESTIMATORS: dict[str, Callable[..., BoundaryDistances]] = {"surfree": surfree, "hop_skip_jump": hop_skip_jump}


@dataclass(frozen=True)
class NoiseTable(Schema):
    """Noisy copies: how many, and strengths to choose from; both lists side by side, if both are given."""

    n_draws: int = NoisyCopies.n_draws
    gaussian: list[float] = field(default_factory=list)
    flips: list[float] = field(default_factory=list)

    def probe(self) -> Probe:
        """Return what is asked.

        Raises:
            InputError: Strengths of the two kinds of noise do not pair.
        """
        gaussian, flips = self.gaussian, self.flips
        if gaussian and flips and len(gaussian) != len(flips):
            raise InputError(
                f"Expected as many gaussian as flips in noise of [label_only], found {len(gaussian)} and {len(flips)}: "
                "each pair is a strength; leave one list out, or write both as long."
            )
        n = max(len(gaussian), len(flips))
        pairs = zip(gaussian or [0.0] * n, flips or [0.0] * n, strict=True)
        return NoisyCopies(self.n_draws, tuple(NoiseStrength(gaussian=share, flips=flip) for share, flip in pairs))


@dataclass(frozen=True, kw_only=True)
class AugmentationsTable(Schema):
    """Draws of the pipeline that training used: `module:function` of a batch and a NumPy generator, and how many."""

    augment: str
    n_draws: int = Augmentations.n_draws


@dataclass(frozen=True, kw_only=True)
class _Search(Schema):
    """A search for the decision boundary."""

    estimator: Literal["surfree", "hop_skip_jump"] = "surfree"


@dataclass(frozen=True, kw_only=True)
class BoundaryTable(_Search):
    """The search for the decision boundary, and with how many shadow models it is compared."""

    n_queries: int = BoundarySearch.n_queries
    n_references: int = BoundarySearch.n_references
    likelihood_ratio: bool = BoundarySearch.likelihood_ratio


@dataclass(frozen=True, kw_only=True)
class CombinedTable(_Search):
    """The search for the decision boundary around an image and its shifted copies."""

    distance: int = CombinedDistances.distance
    n_queries: int = CombinedDistances.n_queries


@dataclass(frozen=True, kw_only=True)
class SettledTable(_Search):
    """The search for the decision boundary that ends as soon as a shadow model's threshold is settled."""

    n_queries: int = SettledSearch.n_queries
    likelihood_ratio: bool = SettledSearch.likelihood_ratio


@dataclass(frozen=True, kw_only=True)
class WhiteBoxTable(Schema):
    """The search along gradients, with `access = "gradients"`."""

    n_steps: int = GradientSearch.n_steps
    n_searches: int = GradientSearch.n_searches


@dataclass(frozen=True, kw_only=True)
class LabelOnlyTable(Schema):
    """What label-only attacks ask, each kind if it is named.

    Attributes:
        noise: Noisy copies.
        augmentations: Draws of a training pipeline.
        translations: Distances to choose from [pixels].
        rotations: Angles to choose from [degrees].
        boundary: The search for the decision boundary.
        combined: The same around shifted copies.
        settled: The same, ended as soon as a verdict stands.
        white_box: The search along gradients, of which these fall short.
    """

    noise: NoiseTable | None = None
    augmentations: AugmentationsTable | None = None
    translations: list[int] | None = None
    rotations: list[float] | None = None
    boundary: BoundaryTable | None = None
    combined: CombinedTable | None = None
    settled: SettledTable | None = None
    white_box: WhiteBoxTable | None = None

    def probes(self, named: Callable[[str], Any]) -> tuple[Probe, ...]:
        """Return them.

        Args:
            named: Returns what `module:name` names.

        Raises:
            InputError: A number is out of range, strengths of the two kinds of noise do not pair, or there is no such
                pipeline.
        """
        asked: list[Probe] = [] if self.noise is None else [self.noise.probe()]
        if self.augmentations is not None:
            asked.append(Augmentations(named(self.augmentations.augment), self.augmentations.n_draws))
        if self.translations is not None:
            asked.append(Translations(tuple(self.translations) or Translations.choices))
        if self.rotations is not None:
            asked.append(Rotations(tuple(self.rotations) or Rotations.choices))
        searches: tuple[tuple[_Search | None, Callable[..., Probe]], ...] = (
            (self.boundary, BoundarySearch),
            (self.combined, CombinedDistances),
            (self.settled, SettledSearch),
        )
        for table, search in searches:
            if table is not None:
                asked.append(search(**vars(table) | {"estimator": _ESTIMATORS[table.estimator]}))
        if self.white_box is not None:
            asked.append(GradientSearch(n_steps=self.white_box.n_steps, n_searches=self.white_box.n_searches))
        return tuple(asked)
