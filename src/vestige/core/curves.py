"""Curves and distributions of an attack's scores, thinned for drawing: `RocBand` and `ScoreHistogram`."""

from dataclasses import dataclass

from vestige.core.schema import Count, Number, Schema


@dataclass(frozen=True, kw_only=True)
class RocBand(Schema):
    """A ROC thinned for drawing, with its pointwise 95 % band where it is resolvable.

    Attributes:
        attack: Name of the attack.
        fpr: False-positive rates, rising.
        tpr: True-positive rate at each.
        lower: Lower band; NaN below the resolution floor.
        upper: Upper band; NaN below the resolution floor.
        best_fpr: False-positive rate at the threshold of the best balanced accuracy on the target itself; NaN if that
            is not known.
        best_tpr: True-positive rate there.

    Example:
        >>> band = RocBand(attack="loss", fpr=(0.5, 1.0), tpr=(0.75, 1.0), lower=(0.7, 1.0), upper=(0.8, 1.0))
        >>> band.precision(0.5)
        (0.6, 0.5)
    """

    attack: str
    fpr: tuple[Number, ...]
    tpr: tuple[Number, ...]
    lower: tuple[Number, ...]
    upper: tuple[Number, ...]
    best_fpr: Number = float("nan")
    best_tpr: Number = float("nan")

    def precision(self, prior: float) -> tuple[float, ...]:
        """Share of members among the units called members at each point, in a population with this share of members.

        With the true-positive rates as recall it is the curve of precision against recall; NaN where nobody is called.
        """
        return tuple(precision_at(tpr, fpr, prior) for tpr, fpr in zip(self.tpr, self.fpr, strict=True))

    def best_precision(self, prior: float) -> float:
        """Precision at the threshold of the best balanced accuracy."""
        return precision_at(self.best_tpr, self.best_fpr, prior)


def precision_at(tpr: float, fpr: float, prior: float) -> float:
    """Return `prior TPR / (prior TPR + (1 - prior) FPR)`; NaN where nobody is called a member.

    Example:
        >>> precision_at(0.5, 0.0, 0.01), round(precision_at(0.5, 0.05, 0.1), 3)
        (1.0, 0.526)
    """
    called = prior * tpr + (1 - prior) * fpr
    return prior * tpr / called if called else float("nan")


@dataclass(frozen=True, kw_only=True)
class ScoreHistogram(Schema):
    """How an attack's scores of members and of nonmembers are spread, in bins that all hold some units.

    Attributes:
        attack: Name of the attack.
        edges: Inner edges of the bins, rising, each between two scores and rounded, so that none tells a score: bin i
            has scores from `edges[i - 1]` to below `edges[i]`; the first and the last bin are open. Empty where a few
            units are all there are.
        members: Members in each bin, one more than there are edges.
        nonmembers: Nonmembers in each.
    """

    attack: str
    edges: tuple[Number, ...]
    members: tuple[Count, ...]
    nonmembers: tuple[Count, ...]
