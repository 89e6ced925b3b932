"""Signals: what may be observed of models and records, one row each. What an attack reads decides all that it needs."""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass
from enum import StrEnum
from typing import Any

ACCESS = ("gradients", "confidence", "loss", "label")
"""What a target answers, the most first."""

KNOWLEDGE = ("train", "data", "label", "model", "members")
"""What an adversary may know beside the model's answers, in the order of the tables."""


class Family(StrEnum):
    """Where a signal comes from."""

    ANSWERS = "answers"
    """The audited model, asked once about each record."""
    REFERENCES = "references"
    """Models whose training sets are known among the audited records."""
    KNOWN = "known"
    """Records whose membership is known, to learn from."""
    COPIES = "copies"
    """Labels of changed copies of each record, or gradients there."""


@dataclass(frozen=True)
class Signal:
    """What attacks take as a parameter of this name.

    Attributes:
        name: Name of the parameter.
        family: Where it comes from.
        access: The weakest access to a model that gives it: `label`, `loss`, `confidence` or `gradients`.
        knowledge: What else the adversary must know, in the words of Choquette-Choo et al. 2021, table 3: `train` (how
            the model was trained), `data` (more records like these), `label` (the record's), `model` (its parameters),
            and `members` (which side some of the records are on).
        needs: What a user must give for it.
        for_custom: Whether custom attacks may read it.
        made_of: Makes it of other signals of the model's answers, the names of its parameters, so that its row is all
            there is to write; None for what an audit must ask for or measure.
    """

    name: str
    family: Family
    access: str
    knowledge: tuple[str, ...]
    needs: str
    _: KW_ONLY
    for_custom: bool = False
    made_of: Callable[..., Any] | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the signals that it is made of."""
        return () if self.made_of is None else tuple(inspect.signature(self.made_of).parameters)


NOT_TRAINED = "shadow models not trained on the audited records"
"""What attacks need that read OUT models alone."""

_CLASSES = "probabilities or logits of every class"
_TRUE_CLASS = "loss, phi, probabilities or logits"
_GRADIENTS = "access to the gradients of a torch module"
_MODELS = "shadow models trained on random halves of the audited records"
_IMITATORS = "shadow models that torch trains, and imitators of the model"
_LABEL_IMITATORS = "predicted labels of noisy or augmented copies, shadow models that torch trains, and imitators"
_POOL = "shadow models of a pool of other records, and their answers about these"
_POPULATION = "shadow models and records of a population"
_DISTANCES = "distances to the decision boundary, found from labels alone"
_ALL = ("train", "data", "label")
_A, _R, _K, _C = Family.ANSWERS, Family.REFERENCES, Family.KNOWN, Family.COPIES

SIGNALS = {
    signal.name: signal
    for signal in (  # what a user must give for an attack is said by the first of these that it reads
        Signal("population_losses", _K, "loss", ("data", "label"), "losses of known nonmembers"),
        Signal("is_known_nonmember", _K, "label", ("data",), "features, and some known nonmembers"),
        Signal("population_phi", _R, "loss", _ALL, _POPULATION),
        Signal("population_shadow_phi", _R, "loss", _ALL, _POPULATION),
        Signal("population_is_in", _R, "label", ("train", "data"), _POPULATION),
        Signal("pool_phi", _R, "loss", _ALL, _POOL),
        Signal("pool_is_in", _R, "label", ("train", "data"), _POOL),
        Signal(
            "shadow_gradient_norms", _R, "gradients", (*_ALL, "model"),
            "gradient norms of the target and of torch models not trained on the audited records",
        ),
        Signal(
            "shadow_max_log_p", _R, "confidence", ("train", "data"),
            f"{_CLASSES}, of the model and of shadow models not trained on the audited records",
        ),
        Signal("imitator_agreement", _C, "label", _ALL, _LABEL_IMITATORS),
        Signal("shadow_imitator_agreement", _C, "label", _ALL, _LABEL_IMITATORS),
        Signal("shadow_plain_score", _R, "label", ("train", "data"), f"an attack's scores under {NOT_TRAINED}"),
        Signal("plain_score", _R, "label", ("train", "data"), "an attack's scores of the model"),
        Signal(
            "shadow_agreement", _C, "label", _ALL,
            "predicted labels of noisy or augmented copies, of the model and of shadow models trained on random halves",
        ),
        Signal(
            "shadow_signed_distances", _C, "label", _ALL,
            "distances to the decision boundary, of the model and of shadow models not trained on the record",
        ),
        Signal(
            "source_copy_distances", _C, "label", _ALL,
            "distances to the decision boundary of shifted copies of each record",
        ),
        Signal("imitator_phi", _R, "confidence", _ALL, _IMITATORS),
        Signal("imitator_is_in", _R, "label", ("train", "data"), _IMITATORS),
        Signal("shadow_imitator_phi", _R, "confidence", _ALL, _IMITATORS),
        Signal("imitated", _R, "label", ("train", "data"), _IMITATORS),
        Signal("is_in", _R, "label", ("train", "data"), _MODELS, for_custom=True),
        Signal("shadow_phi", _R, "loss", _ALL, _MODELS, for_custom=True),
        Signal("query_phi", _R, "loss", _ALL, _MODELS),
        Signal("shadow_query_phi", _R, "loss", _ALL, _MODELS),
        Signal("shadow_statistic", _R, "loss", _ALL, _MODELS),
        Signal("statistic", _R, "loss", _ALL, _MODELS),
        Signal("max_log_p", _A, "confidence", (), _CLASSES),
        Signal("gradients", _A, "gradients", ("label", "model"), _GRADIENTS),
        Signal("gradient_norms", _A, "gradients", ("label", "model"), f"{_GRADIENTS}, or their norms", for_custom=True),
        Signal("probabilities", _A, "confidence", (), _CLASSES, for_custom=True),
        Signal("log_probabilities", _A, "confidence", (), _CLASSES),
        Signal("phi", _A, "loss", ("label",), _TRUE_CLASS, for_custom=True),
        Signal("losses", _A, "loss", ("label",), _TRUE_CLASS, for_custom=True),
        Signal("p_true", _A, "loss", ("label",), _TRUE_CLASS, for_custom=True),
        Signal("agreement", _C, "label", ("label",), "predicted labels of copies of each record"),
        Signal("correct", _C, "label", ("label",), "predicted labels of augmented copies of each record"),
        Signal("noise_correct", _C, "label", ("label",), "predicted labels of noisy copies of each record"),
        Signal("boundary_distances", _C, "label", _ALL, _DISTANCES),
        Signal("signed_distances", _C, "label", _ALL, _DISTANCES),
        Signal("copy_distances", _C, "label", _ALL, _DISTANCES),
        Signal(
            "gradient_distances", _C, "gradients", (*_ALL, "model"),
            "distances to the decision boundary, found with access to the gradients of a torch module",
        ),
        Signal(
            "settled_distances", _C, "label", _ALL,
            "distances to the decision boundary, ended as soon as a shadow model's threshold is settled",
        ),
        Signal("predicted", _A, "label", (), "predicted labels, probabilities or logits", for_custom=True),
        Signal("labels", _A, "label", ("label",), "labels", for_custom=True),
        Signal("known_member", _K, "label", ("members",), "records of known membership"),
        Signal("signal", _A, "loss", ("label",), _TRUE_CLASS),
        Signal("features", _A, "label", (), "features"),
    )
}  # fmt: skip
"""Every signal by its name. Of known records attacks read the same as `known_...`."""

FOR_CUSTOM = tuple(
    sorted(
        (name for name, signal in SIGNALS.items() if signal.for_custom),
        key=(
            "labels",
            "predicted",
            "losses",
            "p_true",
            "phi",
            "probabilities",
            "gradient_norms",
            "shadow_phi",
            "is_in",
        ).index,
    )
)
"""Names of the parameters that a custom attack may have."""


def strongest(levels: Iterable[str]) -> str:
    """Return the level of access that gives all of these.

    Example:
        >>> strongest(["label", "confidence", "loss"])
        'confidence'
    """
    return min(levels, key=ACCESS.index)


def signals_of(reads: Iterable[str]) -> tuple[Signal, ...]:
    """Return the signals of these names, those of known records as what they are of.

    Example:
        >>> [signal.name for signal in signals_of(["known_losses", "known_member", "losses"])]
        ['losses', 'known_member']
    """
    names = {name if name in SIGNALS else name.removeprefix("known_") for name in reads}
    return tuple(signal for name, signal in SIGNALS.items() if name in names)
