"""One pass over the model's answers: check every row, score every attack, keep nothing that is records x classes."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from vestige.auditing.scoring.refusals import check_block, rounding_of_table, rows_that_miss_one
from vestige.core.attack import Attack
from vestige.core.digests import columns_of_inputs, update_with_columns
from vestige.core.errors import InputError
from vestige.core.options import Arithmetic
from vestige.core.outputs import (
    GradientNorms,
    LastLayerGradients,
    Logits,
    Loss,
    Output,
    Phi,
    PredictedLabels,
    Probabilities,
)
from vestige.core.predictions import Predictions
from vestige.core.probabilities import ClassProbabilities, as_published, from_logits, from_probabilities, softmax
from vestige.core.progress import Progress
from vestige.core.result import NotRun
from vestige.core.signal import SIGNALS
from vestige.evaluation import preflight
from vestige.signals.phi import CONFIDENCES, confidences_of, limit_of, phi_of

_BLOCK_ELEMENTS = 1 << 18  # 2 MB of float64: a block and its temporaries stay in the processor's cache
_KEPT = {"predicted": np.int64, "losses": np.float64}  # signals that are kept of every record, and their types
_IN_FLIGHT = 4  # blocks read ahead; bounds the memory whatever the number of records


@dataclass(frozen=True, kw_only=True, eq=False)
class Observed:
    """What one pass over one model's answers gives.

    Attributes:
        scores: Score of every record, per attack that could run; higher means member.
        predicted: Predicted class of every record, where it is known.
        losses: Loss of every record's true class, where it is known.
        row_hashes: A 64-bit hash of each row of logits, probabilities, phi or losses, where there are any.
        n_told: Classes with a probability of their own in each answer, where there are probabilities.
        lead: By how much the largest probability of each answer is above the second, where there are probabilities.
        rounding: To what probabilities are rounded so that rows miss 1, in words; empty where they are not.
        digest: SHA-256 of the outputs and of every column given with them.
        not_run: Attacks that need something else.
        phi_limit: Where phi of an answer of exactly 1 stands [logit]; None where no attack reads phi.
    """

    scores: Mapping[str, np.ndarray]
    predicted: np.ndarray | None
    losses: np.ndarray | None
    row_hashes: np.ndarray | None
    n_told: np.ndarray | None
    lead: np.ndarray | None
    rounding: str
    digest: str
    not_run: tuple[NotRun, ...]
    phi_limit: float | None = None


def observe(
    predictions: Predictions,
    attacks: Sequence[Attack],
    arithmetic: Arithmetic,
    progress: Progress,
    step: str,
    phi_limit: float | None = None,
) -> Observed:
    """Read the outputs once, in blocks, and score them.

    Args:
        predictions: One model's answers.
        attacks: Those that were asked for; what can be read of these answers is played.
        arithmetic: float64 from logits, or that of Song & Mittal's code.
        progress: Told after every block.
        step: What to call this pass.
        phi_limit: What `phi_limit_of` gives for these attacks.

    Raises:
        InputError: A value is not finite, a row is no distribution, a loss is negative, or an attack fails.
    """
    n, vector, given = predictions.n_records, _vector(predictions), _available(predictions, arithmetic)
    played = [a for a in attacks if set(a.reads) <= given]
    scores = {a.name: np.empty(n) for a in played}
    kept = {name: np.empty(n, dtype=dtype) for name, dtype in _KEPT.items() if name in given}
    hashes = None if vector is None else np.empty(n, dtype=np.uint64)
    missed: list[tuple[np.ndarray, np.ndarray]] = []
    told, digest = np.empty((2, n)), hashlib.sha256()

    def work(start: int, blocks: Mapping[type, np.ndarray]) -> int:
        rows = slice(start, start + len(next(iter(blocks.values()))))
        for output in predictions.outputs:
            check_block(output, blocks[type(output)], start)
        if Probabilities in blocks:
            missed.append(rows_that_miss_one(blocks[Probabilities], start))
            told[:, rows] = _n_told_and_lead(blocks[Probabilities])
        signals = _signals(blocks, predictions.labels[rows], arithmetic, phi_limit)
        for attack in played:
            scores[attack.name][rows] = attack.play(_with_made(signals, attack))
        for name, values in kept.items():
            values[rows] = np.asarray(signals[name])
        if vector is not None and hashes is not None:
            hashes[rows] = preflight.row_hashes(blocks[type(vector)])
        return rows.stop

    for done in _whole(_in_threads(work, _blocks(predictions, digest)), n):
        progress(step, done, n)
    _digest_columns(predictions, digest)
    return Observed(
        scores=scores,
        predicted=kept.get("predicted"),
        losses=kept.get("losses"),
        row_hashes=hashes,
        n_told=told[0].astype(np.int64) if missed else None,
        lead=told[1] if missed else None,
        rounding=rounding_of_table(predictions, missed),
        digest=digest.hexdigest(),
        not_run=tuple(NotRun(a.name, a.needs) for a in attacks if a not in played),
        phi_limit=phi_limit,
    )


def _n_told_and_lead(p: np.ndarray) -> np.ndarray:
    highest = np.partition(p, -2, axis=1)
    return np.stack([preflight.n_classes_told(p), highest[:, -1] - highest[:, -2]])


def _whole(ends: Iterable[int], n: int) -> Iterator[int]:
    """Where blocks end; the last one must be at all rows."""
    done = 0
    for done in ends:
        yield done
    if done != n:
        raise InputError(f"Expected {n:,} rows of outputs, found {done:,}; the file is truncated, save it again.")


def phi_limit_of(
    models: Iterable[Predictions], attacks: Iterable[Attack], of_references: float | None = None
) -> float | None:
    """Return where phi of an answer of exactly 1 stands in an audit; None if no attack reads phi of the answers alone.

    The models are read once for it, before they are scored: scores of one are compared with thresholds of the other.

    Args:
        models: All models that are compared.
        attacks: Those that were asked for.
        of_references: Where it stands for attacks with reference models, which is then the place; None without such.

    Raises:
        InputError: As of `observe`.
    """
    reads_phi = any(
        not attack.needs_references and {"phi", "signal"} & {signal.name, *signal.parts}
        for attack in attacks
        for signal in attack.signals
    )
    if not reads_phi or of_references is not None:
        return of_references if reads_phi else None
    limits = [0.0]
    for predictions in models:
        output, start = confidences_of(predictions), 0
        if output is None:
            continue
        for block in output.table.blocks(_n_rows([output])):
            check_block(output, block, start)
            labels = predictions.labels[start : start + len(block)]
            limits.append(limit_of(phi_of(type(output), block, labels)))
            start += len(block)
    return max(limits)


def digest_of(predictions: Predictions) -> str:
    """Return the digest of predictions that `observe` gives, without looking at what they say.

    Raises:
        InputError: They cannot be read.
    """
    digest = hashlib.sha256()
    for _ in _blocks(predictions, digest):
        pass
    _digest_columns(predictions, digest)
    return digest.hexdigest()


def _digest_columns(predictions: Predictions, digest: Any) -> None:
    """Every column that changes a run's files, each under its name."""
    columns: dict[str, Any] = {
        "labels": predictions.labels,
        "member": predictions.member,
        "ids": predictions.ids,
        "subjects": predictions.subjects,
        "classes": None if predictions.classes is None else np.array(predictions.classes),
        **{f"group {name}": values for name, values in predictions.groups.items()},
        **{f"order {name}": values for name, values in predictions.order.items()},
    }
    if predictions.inputs is not None:
        columns |= columns_of_inputs(predictions.inputs)
    update_with_columns(digest, columns)


def whole_signals(
    predictions: Predictions, keep: np.ndarray, labels: np.ndarray, arithmetic: Arithmetic, phi_limit: float | None
) -> dict[str, np.ndarray]:
    """Return what attacks that learn read, of some records, all in memory: what has a number per class too.

    Args:
        predictions: One model's answers; checked by `observe` before.
        keep: Which records.
        labels: Their classes, in the coding of the outputs.
        arithmetic: As of `observe`.
        phi_limit: As of `observe`.
    """
    blocks = {type(output): output.whole()[keep] for output in predictions.outputs}
    signals = _signals(blocks, labels, arithmetic, phi_limit)
    table = signals.pop("probabilities", None)
    whole = {name: np.asarray(values) for name, values in signals.items()}
    if isinstance(table, ClassProbabilities):
        whole |= {"probabilities": np.asarray(table.p, dtype=np.float64), "log_probabilities": np.asarray(table.log_p)}
    if LastLayerGradients in blocks:
        whole["gradients"] = blocks[LastLayerGradients]
    return whole


def _vector(predictions: Predictions) -> Output | None:
    """The output that tells most answers apart: one with a number per class if there is one, logits first."""
    kinds: tuple[type[Output], ...] = (Logits, Probabilities, Phi, Loss)
    return next((output for kind in kinds if (output := predictions.output(kind)) is not None), None)


def _available(predictions: Predictions, arithmetic: Arithmetic) -> set[str]:
    """Names of the signals that these outputs tell: those of a block without rows, and what is made of them."""
    nothing = {
        type(output): np.empty((0, *output.table.shape[1:]), output.table.dtype) for output in predictions.outputs
    }
    names = set(_signals(nothing, predictions.labels[:0], arithmetic, 0.0))
    return names | {name for name, signal in SIGNALS.items() if signal.made_of and names.issuperset(signal.parts)}


def _with_made(signals: Mapping[str, Any], attack: Attack) -> Mapping[str, Any]:
    """The signals, and what an attack reads that is made of them."""
    made = {s.name: s.made_of(*(signals[part] for part in s.parts)) for s in attack.signals if s.made_of is not None}
    return {**signals, **made}


def _signals(
    blocks: Mapping[type, np.ndarray], labels: np.ndarray, arithmetic: Arithmetic, phi_limit: float | None
) -> dict[str, np.ndarray | ClassProbabilities]:
    """Everything the attacks read, for one block; phi, which costs two logarithms a row, if it has a limit."""
    signals: dict[str, np.ndarray | ClassProbabilities] = {"labels": labels}
    if Logits in blocks or Probabilities in blocks:
        table = _class_probabilities(blocks, arithmetic)
        signals |= {
            "probabilities": table,
            "predicted": table.predicted,
            "losses": -np.asarray(table.of(table.log_p, labels), dtype=np.float64),
            "p_true": table.of(table.p, labels),
        }
    elif Phi in blocks:
        phi = blocks[Phi].astype(np.float64)
        signals |= {"losses": np.logaddexp(0.0, -phi), "p_true": special.expit(phi)}
    elif Loss in blocks:
        losses = blocks[Loss].astype(np.float64)
        signals |= {"losses": losses, "p_true": np.exp(-losses)}
    if GradientNorms in blocks:
        signals["gradient_norms"] = blocks[GradientNorms]
    if PredictedLabels in blocks:
        signals["predicted"] = blocks[PredictedLabels]
    if phi_limit is not None and "losses" in signals:
        kind = next(kind for kind in CONFIDENCES if kind in blocks)
        signals["phi"] = np.clip(phi_of(kind, blocks[kind], labels), -phi_limit, phi_limit)
    return signals


def _class_probabilities(blocks: Mapping[type, np.ndarray], arithmetic: Arithmetic) -> ClassProbabilities:
    if arithmetic is Arithmetic.PUBLISHED:
        return as_published(blocks[Probabilities] if Probabilities in blocks else softmax(blocks[Logits]))
    return from_logits(blocks[Logits]) if Logits in blocks else from_probabilities(blocks[Probabilities])


def _n_rows(outputs: Iterable[Output]) -> int:
    """Rows of a block of these outputs."""
    return max(1, _BLOCK_ELEMENTS // max(int(np.prod(output.table.shape[1:])) for output in outputs))


def _blocks(predictions: Predictions, digest: Any) -> Iterator[tuple[int, dict[type, np.ndarray]]]:
    """Blocks of all outputs side by side; the digest sees the bytes in order."""
    kinds, n_rows = [type(output) for output in predictions.outputs], _n_rows(predictions.outputs)
    for output in predictions.outputs:
        digest.update(f"{output.kind} {output.table.dtype} {output.table.shape}".encode())
    start = 0
    for parts in zip(*(o.table.blocks(n_rows) for o in predictions.outputs), strict=True):
        for part in parts:
            digest.update(np.ascontiguousarray(part).data)
        yield start, dict(zip(kinds, parts, strict=True))
        start += parts[0].shape[0]


def _in_threads(
    work: Callable[[int, Mapping[type, np.ndarray]], int], blocks: Iterator[tuple[int, dict[type, np.ndarray]]]
) -> Iterator[int]:
    """Work on blocks in two threads while the next ones are read; results in order. NumPy releases the lock."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        waiting: list[Future[int]] = []
        for start, block in blocks:
            waiting.append(pool.submit(work, start, block))
            if len(waiting) >= _IN_FLIGHT:
                yield waiting.pop(0).result()
        for future in waiting:
            yield future.result()
