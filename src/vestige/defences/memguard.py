"""MemGuard: noise on every answer that a classifier of memberships can no longer tell, and that keeps the label."""

import hashlib
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, replace
from enum import StrEnum
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float, Int

from vestige.core.answer_defence import table_of, with_labels
from vestige.core.errors import InputError, refuse_if
from vestige.core.outputs import Logits
from vestige.core.probabilities import LOG_FLOOR, softmax
from vestige.core.seeds import stream
from vestige.core.targets import Answers
from vestige.defences._perceptron import Perceptron

_HIDDEN = (256, 128, 64)
_EPOCHS, _RATE, _BATCH = 400, 1e-3, 64
_UNDECIDED = 1e-5  # how near 0.5 the classifier may be for no noise
_STEP, _MOST_STEPS = 0.1, 299
_LABEL_WEIGHT = 10.0
_CLOSENESS = tuple(10.0**power for power in range(-1, 6))
_AT_ONCE = 2048  # answers
_PADDED = 16  # rows: of fewer, or a number between, a product of matrices may round otherwise


class Reads(StrEnum):
    """What the defender's classifier of memberships is given: the published text and the code differ.

    Attributes:
        ANSWER: The probabilities, sorted.
        ANSWER_AND_LABEL: The predicted class too, as a column for each class.
    """

    ANSWER = "sorted probabilities"
    ANSWER_AND_LABEL = "sorted probabilities and label"


@dataclass(frozen=True, eq=False)
class MemGuard:
    """Each answer is moved until the defender's own classifier of memberships crosses 1/2, as little as it can be.

    The classifier is fitted to the model's answers about its members and about records that are neither audited nor
    under a threshold. Noise is sought on logits; of probabilities their logarithms stand for them. The same answer gets
    the same noise, whatever is asked beside it and however often: a coin drawn anew would undo the defence.

    Attributes:
        reads: What the classifier is given.
        budget: Largest expected L1 distance of an answer to the model's: noise is then left out by a coin that belongs
            to the answer, and where it would leave the classifier surer. None to use it wherever it is found; 0 for no
            defence.
        network: The classifier; None before it is fitted.
        seed: Of the coins.

    Raises:
        InputError: The budget is negative.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> sure, unsure = rng.normal(size=(2, 64, 3)) * [[[9.0]], [[1.0]]]
        >>> guarded = MemGuard().fitted(Logits(sure), Logits(unsure), seed=0)
        >>> told = guarded(Logits(sure)).whole()
        >>> bool((told.argmax(axis=1) == sure.argmax(axis=1)).all())
        True

    Source:
        Jia et al. 2019 as released, and Song & Mittal 2021, who use the noise always (phase I). Phase II is the
        budget's coin. Here g is trained in float32 and asked in float64, logarithms of probabilities are of at least
        1e-30, and noise has to keep the label of the probabilities too, not only that of the logits.
    """

    reads: Reads = Reads.ANSWER
    _: KW_ONLY
    budget: float | None = None
    network: Perceptron | None = None
    seed: int = 0
    keeps_labels: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.budget is not None and not self.budget >= 0:
            raise InputError(f"Expected an L1 budget of 0 or more, found {self.budget}; leave it out for all noise.")

    @property
    def is_fitted(self) -> bool:
        """Whether there is a classifier."""
        return self.network is not None

    def fitted(self, member_answers: Answers, nonmember_answers: Answers, seed: int) -> "MemGuard":
        """Return it with a classifier of one model's members; arguments as of `FittedDefence`.

        Raises:
            InputError: A side is empty, or the answers are labels.
        """
        sides = [_Queries.of(answers, self.reads) for answers in (member_answers, nonmember_answers)]
        refuse_if(
            *(
                (not len(side.logits), f"Expected answers about {whose} to fit MemGuard, found none; give some.")
                for side, whose in zip(sides, ("members", "the defender's own nonmembers"), strict=True)
            )
        )
        rows = np.concatenate([side.seen(side.probabilities) for side in sides])
        is_member = np.repeat([1.0, 0.0], [len(side.logits) for side in sides])
        order = np.lexsort([*rows.T, is_member])  # so that the order of the records decides nothing
        rows, is_member = rows[order], is_member[order]
        rng = stream(seed, "classifier of MemGuard")

        def gradient(outputs: np.ndarray, some: np.ndarray) -> np.ndarray:  # of the cross-entropy
            return np.asarray(_sigmoid(outputs) - is_member[some, None])

        network = Perceptron.drawn((rows.shape[1], *_HIDDEN, 1), rng)
        network = network.trained(rows, gradient, epochs=_EPOCHS, rate=_RATE, batch=_BATCH, rng=rng)
        return replace(self, network=network, seed=seed)

    def __call__(self, answers: Answers) -> Answers:
        """Return answers with noise, each a distribution with the model's label."""
        table = table_of(answers)
        if self.budget == 0:
            return answers
        labels, told = answers.whole().argmax(axis=1), table.copy()
        for start in range(0, len(table), _AT_ONCE):
            rows = np.arange(start, min(start + _AT_ONCE, len(table)))
            given = answers.whole()[_padded(rows)]
            some = _Queries.of(type(answers)(given), self.reads)
            noisy, is_noisy = self._noisy(some)
            is_noisy &= self._is_within_budget(some, noisy, given)
            moved = rows[is_noisy[: rows.size]]
            told[moved] = some.in_place(noisy)[: rows.size][is_noisy[: rows.size]]
        return with_labels(told, labels)

    def member_probability(self, answers: Answers) -> Float[np.ndarray, " record"]:
        """Return the classifier's opinion of each answer: that it is about a member."""
        queries = _Queries.of(answers, self.reads)
        return np.asarray(_sigmoid(self._judged(queries, queries.probabilities)))

    def identity(self) -> Mapping[str, Any]:
        """Return its name, what it reads, its budget, and the digest of its classifier."""
        fitted = {} if self.network is None else {"digest": self.network.digest, "seed": self.seed}
        return {"defence": "memguard", "reads": str(self.reads), "budget": self.budget, **fitted}

    def _fitted_network(self) -> Perceptron:
        if self.network is None:
            raise InputError(
                "Expected a fitted MemGuard, found one without its classifier; it lacks the model's answers about "
                "nonmembers of the defender's own, a third pool: MemGuard().fitted(of members, of these, seed)."
            )
        return self.network

    def _judged(self, queries: "_Queries", probabilities: np.ndarray) -> Float[np.ndarray, " query"]:
        return self._fitted_network().outputs(queries.seen(probabilities))[:, 0]

    def _is_within_budget(self, queries: "_Queries", noisy: np.ndarray, given: np.ndarray) -> Bool[np.ndarray, " q"]:
        if self.budget is None:
            return np.ones(len(noisy), dtype=bool)
        size = np.abs(noisy - queries.probabilities).sum(axis=1)
        before, after = (_sigmoid(self._judged(queries, p)) for p in (queries.probabilities, noisy))
        is_nearer = np.abs(after - 0.5) <= np.abs(before - 0.5)
        return np.asarray(is_nearer & (_coins(given, self.seed) * size < self.budget))

    def _noisy(self, queries: "_Queries") -> tuple[Float[np.ndarray, "query class"], Bool[np.ndarray, " query"]]:
        """Phase I: probabilities in sorted order with the noise of the last round that succeeded, and where one did."""
        network, found = self._fitted_network(), queries.probabilities.copy()
        judged = network.output_and_slope(queries.seen(found))
        searched = np.flatnonzero(np.abs(_sigmoid(judged[0]) - 0.5) > _UNDECIDED)
        is_noisy = np.zeros(len(found), dtype=bool)
        for closeness in _CLOSENESS:
            if not searched.size:
                break
            rows = _padded(searched)
            some = queries.take(rows)
            ends, probabilities = _search(network, some, judged[0][rows], judged[1][rows], searched.size, closeness)
            searched = searched[ends]
            found[searched], is_noisy[searched] = probabilities, True
        return found, is_noisy


@dataclass(frozen=True, kw_only=True, eq=False)
class _Queries:
    """Answers with their classes sorted by rising logit, as the search moves them; equal ones by class.

    Attributes:
        logits: Sorted logits.
        probabilities: Their softmax.
        order: Which class stands in each place.
        labels: The predicted class, the first of equal ones.
        places: Where it stands.
        is_told: Whether the classifier is given the label.
    """

    logits: Float[np.ndarray, "query class"]
    probabilities: Float[np.ndarray, "query class"]
    order: Int[np.ndarray, "query class"]
    labels: Int[np.ndarray, " query"]
    places: Int[np.ndarray, " query"]
    is_told: bool

    @classmethod
    def of(cls, answers: Answers, reads: Reads) -> "_Queries":
        table, given = table_of(answers), answers.whole()
        logits = given.astype(np.float64) if isinstance(answers, Logits) else np.log(np.maximum(table, LOG_FLOOR))
        order, labels = np.argsort(logits, axis=1, kind="stable"), given.argmax(axis=1)
        logits = np.take_along_axis(logits, order, axis=1)
        return cls(
            logits=logits,
            probabilities=softmax(logits),
            order=order,
            labels=labels,
            places=(order == labels[:, None]).argmax(axis=1),
            is_told=reads is Reads.ANSWER_AND_LABEL,
        )

    def take(self, rows: np.ndarray) -> "_Queries":
        return replace(self, **{name: v[rows] for name, v in vars(self).items() if isinstance(v, np.ndarray)})

    def seen(self, probabilities: np.ndarray) -> np.ndarray:
        """What the classifier is given."""
        if not self.is_told:
            return probabilities
        return np.hstack([probabilities, np.eye(probabilities.shape[1])[self.labels]])

    def in_place(self, table: np.ndarray) -> np.ndarray:
        """Sorted values by class."""
        values = np.empty_like(table)
        np.put_along_axis(values, self.order, table, axis=1)
        return values

    def keeps_label(self, probabilities: np.ndarray) -> Bool[np.ndarray, " query"]:
        return np.asarray(self.in_place(probabilities).argmax(axis=1) == self.labels)


def _search(
    network: Perceptron, queries: _Queries, before: np.ndarray, slopes: np.ndarray, n: int, closeness: float
) -> tuple[Int[np.ndarray, " found"], Float[np.ndarray, "found class"]]:
    """One round from the model's own logits: which of the first n answers crossed with their label, and where to.

    All that have not crossed are moved together. Each set is filled up with rows of its own to a multiple of a few, so
    that no row's result hangs on how many there are.

    Args:
        network: The classifier.
        queries: The answers, filled up.
        before: What it says of each [logit].
        slopes: Gradient of that in what it is given.
        n: How many there are without those that fill up.
        closeness: Weight of the distance.
    """
    rows, outputs = np.arange(len(before)), before
    logits, probabilities = queries.logits, queries.probabilities
    found: dict[int, np.ndarray] = {}
    for _ in range(_MOST_STEPS):
        gradient = _gradient(queries, np.sign(outputs)[:, None] * slopes, logits, probabilities, closeness)
        norm = np.linalg.norm(gradient, axis=1, keepdims=True)
        logits = logits - _STEP * gradient / np.where(norm > 0, norm, 1.0)
        probabilities = softmax(logits)
        outputs, slopes = network.output_and_slope(queries.seen(probabilities))
        done = ((outputs * before <= 0) & queries.keeps_label(probabilities))[:n]
        if done.any():
            found |= dict(zip(rows[:n][done].tolist(), probabilities[:n][done], strict=True))
            left = np.flatnonzero(~done)
            if not left.size:
                break
            n, left = left.size, _padded(left)
            queries, rows, before = queries.take(left), rows[left], before[left]
            outputs, slopes, logits, probabilities = outputs[left], slopes[left], logits[left], probabilities[left]
    ends = np.array(sorted(found), dtype=np.intp)
    return ends, np.array([found[row] for row in ends.tolist()]).reshape(ends.size, logits.shape[1])


def _padded(rows: Int[np.ndarray, " row"]) -> Int[np.ndarray, " padded"]:
    return np.resize(rows, -(-rows.size // _PADDED) * _PADDED)


def _gradient(
    queries: _Queries, of_output: np.ndarray, logits: np.ndarray, probabilities: np.ndarray, closeness: float
) -> Float[np.ndarray, "query class"]:
    """Of |g| + 10 relu(largest other logit - the label's) + closeness |p - the model's p|_1, in the logits."""
    rows = np.arange(len(logits))
    of_answer = of_output[:, : logits.shape[1]] + closeness * np.sign(probabilities - queries.probabilities)
    # Of the softmax only differences count. From the label's on, nothing is lost where its probability is almost 1:
    # the gradient is small there, and its rounding would be all that is left of it after it is scaled to length 1.
    of_answer -= of_answer[rows, queries.places][:, None]
    gradient = probabilities * (of_answer - (probabilities * of_answer).sum(axis=1, keepdims=True))
    others = logits.copy()
    others[rows, queries.places] = -np.inf
    largest = others.argmax(axis=1)
    is_passed = np.where(others[rows, largest] > logits[rows, queries.places], _LABEL_WEIGHT, 0.0)
    gradient[rows, largest] += is_passed
    gradient[rows, queries.places] -= is_passed
    return np.asarray(gradient)


def _coins(given: Float[np.ndarray, "query class"], seed: int) -> Float[np.ndarray, " query"]:
    """A number in [0, 1) of each answer's own, the same for ever: from a digest of what the model answered."""
    key, rows = b"MemGuard %d" % seed, given.astype("<f8") + 0.0  # no -0.0 beside 0.0
    digests = [hashlib.blake2b(row.tobytes(), digest_size=8, key=key).digest() for row in rows]
    return np.frombuffer(b"".join(digests), dtype="<u8") / 2.0**64


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -700, 700))))
