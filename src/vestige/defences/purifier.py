"""A purifier: a network from answers to answers, which learns what answers about nonmembers look like."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from vestige.core.answer_defence import table_of
from vestige.core.errors import InputError, refuse_if
from vestige.core.outputs import Probabilities
from vestige.core.probabilities import softmax
from vestige.core.seeds import stream
from vestige.core.targets import Answers
from vestige.defences._perceptron import Perceptron

_HIDDEN = (128, 64, 128)
_EPOCHS, _RATE, _BATCH = 300, 0.1, 32
_PARTS = 5
"""Of the third pool, one of which is kept apart."""


@dataclass(frozen=True, eq=False)
class Purifier:
    """Each answer is replaced by what a network makes of it that was fitted to answers about nonmembers alone.

    The network learns to give back the answer (squared distance) and to predict its label (cross-entropy). What it was
    never shown, the certainty of answers about members, it does not give back. Labels may change: `changed_labels`
    says how many do, of a fifth of the third pool that it is not fitted to.

    Attributes:
        label_weight: Weight of the label's cross-entropy beside the squared distance.
        network: What was fitted; None before.
        changed_labels: Share of answers with another label behind it, of those kept apart; None before it is fitted.

    Raises:
        InputError: The weight is negative.

    Example:
        >>> answers = Probabilities(np.random.default_rng(0).dirichlet(np.ones(3) / 4, 96))
        >>> purified = Purifier().fitted(answers, answers, seed=0)
        >>> purified.changed_labels < 0.2, purified(answers).whole().sum(axis=1).round(9).max()
        (True, np.float64(1.0))

    Source:
        Yang et al. 2020 (prediction purification): the loss and the third pool. Sizes and training are ours: three
        hidden layers, 300 epochs of plain gradient descent.
    """

    label_weight: float = 1.0
    _: KW_ONLY
    network: Perceptron | None = None
    changed_labels: float | None = None
    keeps_labels: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not self.label_weight >= 0:
            raise InputError(f"Expected a weight of labels of 0 or more, found {self.label_weight}.")

    @property
    def is_fitted(self) -> bool:
        """Whether there is a network."""
        return self.network is not None

    def fitted(self, member_answers: Answers, nonmember_answers: Answers, seed: int) -> "Purifier":
        """Return it fitted to answers about the third pool; those about members are not looked at.

        Raises:
            InputError: There are none about the third pool, or they are labels.
        """
        del member_answers
        table = table_of(nonmember_answers)
        refuse_if(
            (
                len(table) < _PARTS,
                f"Expected {_PARTS} answers or more about the defender's own nonmembers to fit a purifier, found "
                f"{len(table)}; give more.",
            )
        )
        rng = stream(seed, "purifier")
        table = table[np.lexsort(table.T)]  # so that the order of the records decides nothing
        apart = np.zeros(len(table), dtype=bool)
        apart[rng.choice(len(table), len(table) // _PARTS, replace=False)] = True
        kept, table = Probabilities(table[apart]), table[~apart]
        is_label = np.eye(table.shape[1])[table.argmax(axis=1)]

        def gradient(outputs: np.ndarray, some: np.ndarray) -> np.ndarray:
            p = softmax(outputs)
            of_p = 2 * (p - table[some])
            of_distance = p * (of_p - (p * of_p).sum(axis=1, keepdims=True))
            return np.asarray(of_distance + self.label_weight * (p - is_label[some]))

        network = Perceptron.drawn((table.shape[1], *_HIDDEN, table.shape[1]), rng)
        network = network.trained(table, gradient, epochs=_EPOCHS, rate=_RATE, batch=_BATCH, rng=rng)
        done = replace(self, network=network)
        changed = done(kept).whole().argmax(axis=1) != kept.whole().argmax(axis=1)
        return replace(done, changed_labels=float(changed.mean()))

    def __call__(self, answers: Answers) -> Probabilities:
        """Return purified answers."""
        if self.network is None:
            raise InputError(
                "Expected a fitted purifier, found one without its network; it lacks the model's answers about "
                "nonmembers of the defender's own, a third pool: Purifier().fitted(of members, of these, seed)."
            )
        table: Float[np.ndarray, "record class"] = table_of(answers)
        return Probabilities(softmax(self.network.outputs(table)))

    def identity(self) -> Mapping[str, Any]:
        """Return its name, the weight, and the digest of its network."""
        fitted = {} if self.network is None else {"digest": self.network.digest, "changed_labels": self.changed_labels}
        return {"defence": "purifier", "label_weight": self.label_weight, **fitted}
