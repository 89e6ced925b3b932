"""How often does an audit without a leak say LEAK SHOWN? `python -m tests.auditing.null_study`, about an hour.

Nothing in the answers depends on membership, so every LEAK SHOWN is false. One design a row: records, people whose
numbers of records are equal, skewed alike on both sides, or unequal, reference models, and labels alone. Writes
`null_audits.json` beside this file after every design, and goes on where it stopped.
"""

import argparse
import json
import warnings
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from scipy import stats

from vestige import Predictions, Querying, Records, References, audit
from vestige.auditing.label_only import NoisyCopies
from vestige.core.options import Options, SubjectScore
from vestige.core.outputs import Logits, Phi, PredictedLabels
from vestige.core.result import AuditResult, FindingState, Validity
from vestige.signals.label_only.noise import NoiseStrength

RESULTS = Path(__file__).with_name("null_audits.json")
N_DRAWS = 5_000
BAR = 0.06
"""The one-sided upper 95 % bound of the share of LEAK SHOWN may be this."""

N_RECORDS, N_PEOPLE, N_CLASSES = 300, 160, 3


def answers(labels: np.ndarray, rng: np.random.Generator, of_person: np.ndarray | float = 0.0) -> Logits:
    """Logits that are right more often than not, by as much for members as for nonmembers."""
    logits = rng.normal(size=(labels.size, N_CLASSES))
    logits[np.arange(labels.size), labels] += 1 + of_person
    return Logits(logits)


def records(rng: np.random.Generator) -> AuditResult:
    member = rng.permutation(N_RECORDS) < N_RECORDS // 2
    labels = rng.integers(0, N_CLASSES, N_RECORDS)
    return audit(Predictions(answers(labels, rng), labels, member))


def few_nonmembers(rng: np.random.Generator) -> AuditResult:
    member = rng.permutation(N_RECORDS) < N_RECORDS - 60
    labels = rng.integers(0, N_CLASSES, N_RECORDS)
    return audit(Predictions(answers(labels, rng), labels, member))


def people(
    members: Callable[[np.random.Generator, int], np.ndarray],
    nonmembers: Callable[[np.random.Generator, int], np.ndarray],
    score: SubjectScore = SubjectScore.MEAN,
) -> Callable[[np.random.Generator], AuditResult]:
    """Audits of people, with so many records for each member and for each nonmember."""

    def one(rng: np.random.Generator) -> AuditResult:
        half = N_PEOPLE // 2
        person = np.repeat(np.arange(N_PEOPLE), np.concatenate([members(rng, half), nonmembers(rng, half)]))
        person = person[rng.permutation(person.size)]
        labels = rng.integers(0, N_CLASSES, person.size)
        target = Predictions(
            answers(labels, rng, rng.normal(size=N_PEOPLE)[person]), labels, person < half, subjects=person
        )
        return audit(target, options=Options(subject_score=score))

    return one


def between(low: int, high: int) -> Callable[[np.random.Generator, int], np.ndarray]:
    return lambda rng, n: rng.integers(low, high + 1, n)


def skewed(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.minimum(rng.geometric(0.4, n), 12)


def references(rng: np.random.Generator, n_models: int = 8) -> AuditResult:
    half = rng.random((n_models // 2, N_RECORDS)) < 0.5
    is_in = np.stack([half, ~half], axis=1).reshape(n_models, N_RECORDS)
    member = rng.permutation(N_RECORDS) < N_RECORDS // 2
    difficulty = 3 * rng.normal(size=N_RECORDS)
    ids, labels = np.arange(N_RECORDS), np.zeros(N_RECORDS, dtype=int)
    target = Predictions(Phi(difficulty + rng.normal(size=N_RECORDS)), labels, member, ids=ids)
    return audit(target, adversary=References(Phi, difficulty + rng.normal(size=is_in.shape), is_in, ids=ids))


def label_only(rng: np.random.Generator) -> AuditResult:
    weights = rng.normal(size=(4, N_CLASSES))

    def model(inputs: np.ndarray) -> PredictedLabels:
        return PredictedLabels((inputs @ weights).argmax(axis=1))

    sides = []
    for _ in range(2):
        inputs = rng.normal(size=(N_RECORDS // 2, 4))
        noisy = inputs @ weights + rng.normal(size=(N_RECORDS // 2, N_CLASSES))
        sides.append(Records(inputs, noisy.argmax(axis=1)))
    querying = Querying(access="label", label_only=(NoisyCopies(20, (NoiseStrength(gaussian=0.3),)),))
    return audit(model, members=sides[0], nonmembers=sides[1], querying=querying)


DESIGNS: dict[str, Callable[[np.random.Generator], AuditResult]] = {
    "records": records,
    "records, few nonmembers": few_nonmembers,
    "people, equal numbers": people(between(3, 3), between(3, 3)),
    "people, skewed alike": people(skewed, skewed),
    "people, skewed alike, maximum": people(skewed, skewed, SubjectScore.MAXIMUM),
    "people, 1-3 against 10-20": people(between(1, 3), between(10, 20)),
    "people, 2-6 against 1-3": people(between(2, 6), between(1, 3)),
    "people, 2-6 against 1-3, maximum": people(between(2, 6), between(1, 3), SubjectScore.MAXIMUM),
    "references": references,
    "label only": label_only,
}


LEFT_OUT: dict[str, Any] = {
    "vestige.auditing.results.evaluation._bands": (),
    "vestige.auditing.results.evaluation._operating_points": (),
    "vestige.auditing.results.evaluation.oracle_rows": (),
    "vestige.auditing.results.evaluation.partitions_of": [],
    "vestige.auditing.results.evaluation.risk_of": (None, None, []),
    "vestige.auditing.results.evaluation.values_of_targets": (),
    "vestige.auditing.results.evaluation.effects_of_references": (),
    "vestige.evaluation.preflight.blind_inputs": None,
}
"""What no finding reads and most of the time is spent on: ROC bands, thresholds, groups, risk, every model in turn, and
the blind guess from inputs, which the study of preflight's false alarms counts."""


def outcome(design: str, seed: int, whole: bool = False) -> tuple[str, str]:
    """Finding and validity of one audit, without what these do not read unless the whole is wanted."""
    rng = np.random.default_rng([seed, *design.encode()])
    with ExitStack() as stack:
        if not whole:
            for name, nothing in LEFT_OUT.items():
                stack.enter_context(mock.patch(name, return_value=nothing))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("error")
        found = DESIGNS[design](rng)
    return str(found.finding.state), str(found.preflight.validity)


def _outcomes(design: str, seeds: range) -> Counter[tuple[str, str]]:
    return Counter(outcome(design, seed) for seed in seeds)


def row(design: str, counts: Counter[tuple[str, str]]) -> dict[str, Any]:
    """A design's row of the stored results."""
    n = sum(counts.values())
    shown = sum(c for (finding, _), c in counts.items() if finding == FindingState.LEAK_SHOWN)
    return {
        "design": design,
        "draws": n,
        "leak_shown": shown,
        "upper_95": round(upper(shown, n), 4),
        **{str(v).lower(): sum(c for (_, validity), c in counts.items() if validity == v) for v in Validity},
    }


def upper(k: int, n: int) -> float:
    """One-sided upper 95 % bound of a share (Clopper & Pearson)."""
    return 1.0 if k == n else float(stats.beta.ppf(0.95, k + 1, n - k))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=N_DRAWS)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", nargs="*", default=list(DESIGNS))
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    stored = {r["design"]: r for r in (json.loads(given.out.read_text()) if given.out.exists() else [])}
    chunk = 50
    with ProcessPoolExecutor(given.workers) as pool:
        for design in given.only:
            if stored.get(design, {}).get("draws", 0) >= given.draws:
                continue
            chunks = [range(start, min(start + chunk, given.draws)) for start in range(0, given.draws, chunk)]
            counts: Counter[tuple[str, str]] = Counter()
            for found in pool.map(_outcomes, [design] * len(chunks), chunks):
                counts += found
            stored[design] = row(design, counts)
            print(*stored[design].values(), sep="\t", flush=True)
            rows = [stored[d] for d in DESIGNS if d in stored]
            given.out.write_text("[\n " + ",\n ".join(json.dumps(r) for r in rows) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
