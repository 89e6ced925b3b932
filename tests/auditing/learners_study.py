"""Attacks that learn, without a leak: how often is one shown? `python -m tests.auditing.learners_study`, two hours.

One half of the records is learnt from, the other alone is scored and tested, as in an audit without a shadow model.
Answers of members and nonmembers are drawn alike, so that every leak shown is false. A study with a leak asks whether
the interval of the area holds that of the attack as it was learnt, which 4,000 fresh records tell. Each design is
stored in `learners.json` when it is done.
"""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from vestige.attacks import CATALOGUE
from vestige.attacks.attack_p import attack_p
from vestige.auditing.scoring.trained_attacks import regression_features
from vestige.core.probabilities import from_logits
from vestige.evaluation.intervals import auc_interval
from vestige.evaluation.permutation import familywise_test
from vestige.evaluation.roc import roc
from vestige.evaluation.units import Units, halves

RESULTS = Path(__file__).with_name("learners.json")
FRESH = 4_000
N_CLASSES = 5
_ATTACKS = {attack.name: attack for attack in CATALOGUE}


@dataclass(frozen=True)
class Design:
    """What is drawn.

    Attributes:
        attack: Which learner; `means` is the mechanism alone, the direction from nonmembers to members.
        n_records: Audited records, half of them members.
        leak: By how much members' logit of the true class is larger.
        draws: Audits.
    """

    attack: str
    n_records: int
    leak: float
    draws: int


DESIGNS = (
    Design("means", 300, 0.0, 5_000),
    Design("means", 300, 1.0, 5_000),
    Design("attack_p", 300, 0.0, 5_000),
    Design("nn_nasr", 300, 0.0, 2_000),
    Design("nn_augmentation", 300, 0.0, 2_000),
    Design("nn_shokri", 300, 0.0, 2_000),
    Design("nn_nasr", 300, 1.0, 2_000),
    Design("nn_nasr", 1_000, 0.0, 2_000),
    Design("nn_memguard", 300, 0.0, 2_000),
    Design("quantile_regression_at_fpr", 300, 0.0, 2_000),
)


def means(known_probabilities: np.ndarray, known_member: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """The share of an answer along the line from the known nonmembers' mean to the known members'."""
    sides = (known_probabilities[known_member], known_probabilities[~known_member])
    return np.asarray(probabilities @ (sides[0].mean(axis=0) - sides[1].mean(axis=0)))


def answers(n: int, leak: float, rng: np.random.Generator) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Signals of records, and which are members."""
    member = rng.permutation(n) < n // 2
    labels = rng.integers(0, N_CLASSES, size=n)
    logits = 1.5 * rng.normal(size=(n, N_CLASSES))
    logits[np.arange(n), labels] += 1.5 + leak * member
    table = from_logits(logits)
    copies = logits[:, None] + rng.normal(size=(n, 9, N_CLASSES))
    signals = {
        "probabilities": np.asarray(table.p),
        "log_probabilities": np.asarray(table.log_p),
        "labels": labels,
        "losses": -np.asarray(table.of(table.log_p, labels)),
        "correct": copies.argmax(axis=2) == labels[:, None],
    }
    return signals, member


def scores_of(attack: str, signals: dict[str, np.ndarray], member: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Scores as `learnt_scores` has them without those of the known half, which only set thresholds: NaN there."""
    others = ~known
    if attack == "attack_p":
        found = attack_p(signals["losses"][others], signals["losses"][known & ~member])
    elif attack.startswith("quantile"):
        features = regression_features(None, signals["labels"], N_CLASSES)
        found = _ATTACKS[attack].score(-signals["losses"], features, known & ~member, n_folds=2)[others]
    else:
        score, reads = (
            (means, ("probabilities",))
            if attack == "means"
            else (
                _ATTACKS[attack].score,
                _ATTACKS[attack].reads,
            )
        )
        given = {name: signals[name][others] for name in reads if name in signals}
        given |= {f"known_{name}": signals[name][known] for name in list(given)}
        found = score(**given, known_member=member[known])
    scores = np.full(member.size, np.nan)
    scores[others] = found
    return scores


def study(design: Design, seed: int = 0) -> dict[str, Any]:
    """Count false alarms of the attack alone and beside the loss, and intervals that miss."""
    rng = np.random.default_rng([seed, design.n_records, int(10 * design.leak), *design.attack.encode()])
    n = design.n_records
    alone, beside, misses = [], [], []
    for _ in range(design.draws):
        signals, member = answers(n, design.leak, rng)
        units = Units(None, member)
        known = halves(units, rng)
        fresh_member = np.empty(0, dtype=bool)
        if design.leak:
            fresh, fresh_member = answers(FRESH, design.leak, rng)
            signals = {name: np.concatenate([values, fresh[name]]) for name, values in signals.items()}
        nobody = np.zeros(fresh_member.size, dtype=bool)
        everyone = np.concatenate([member, fresh_member])
        found = scores_of(design.attack, signals, everyone, np.concatenate([known, nobody]))
        scores, rest = found[:n], found[n:]
        truth = roc(rest[fresh_member], rest[~fresh_member]).auc if design.leak else 0.5
        interval = auc_interval(roc(scores[~known & member], scores[~known & ~member]))
        misses.append((truth < interval.lower, truth > interval.upper))
        if not design.leak:
            loss = -signals["losses"]
            alone.append(familywise_test([scores], member, 0.1, rng).p_value <= 0.05)
            beside.append(familywise_test([loss, scores], member, 0.1, rng).p_value <= 0.05)
    flagged = {} if design.leak else {**_rates("alone", alone), **_rates("beside_the_loss", beside)}
    return {
        **asdict(design),
        **flagged,
        "coverage": round(1 - float(np.any(misses, axis=1).mean()), 4),
        "truth_below": round(float(np.mean([b for b, _ in misses])), 4),
        "truth_above": round(float(np.mean([a for _, a in misses])), 4),
    }


def _rates(name: str, flagged: list[bool]) -> dict[str, float]:
    """The share of leaks shown, and what it is at most (one-sided, 95 %)."""
    k, n = sum(flagged), len(flagged)
    return {
        f"shown_{name}": round(k / n, 4),
        f"shown_{name}_at_most": round(float(stats.beta.ppf(0.95, k + 1, n - k)), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", type=int, nargs="*", help="numbers of the designs, from 0")
    wanted = parser.parse_args().only
    for number, design in enumerate(DESIGNS):
        if wanted and number not in wanted:
            continue
        row = study(design)
        print(*row.values(), sep="\t", flush=True)
        kept = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else []
        key = (design.attack, design.n_records, design.leak)
        rows = [r for r in kept if (r["attack"], r["n_records"], r["leak"]) != key] + [row]
        RESULTS.write_text("[\n " + ",\n ".join(json.dumps(r) for r in rows) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
