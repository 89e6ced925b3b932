"""The laws of attacks, each a check that says by name what is broken."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from vestige.core.attack import Attack
from vestige.core.custom_attacks import attack_of, checked_scores
from vestige.core.errors import InputError
from vestige.core.messages import brief
from vestige.evaluation.roc import roc
from vestige.testing.signals import Planted, arrays_of, can_be_planted, planted, saturated

_LEAK = 1.5  # by how much a model is surer of its members, in units of phi's noise
_N_LEAK, _N_NULL, _N_DRAWS, _N_FEW = 2000, 500, 20, 24
_Z = 4.0  # standard deviations of chance: a lawful attack is refused for one seed in 15,000
_CLOSE = 1e-9  # sums in another order differ in the last digits


class BrokenLawError(AssertionError):
    """An attack breaks a law.

    Attributes:
        law: Name of the law, as in `AttackReport.laws`.
    """

    def __init__(self, law: str, attack: str, message: str) -> None:
        self.law = law
        super().__init__(f"{attack} breaks the law '{law}': {message}")


@dataclass(frozen=True, kw_only=True)
class AttackReport:
    """What was seen of an attack that keeps every law.

    Attributes:
        attack: Its name.
        laws: The laws that it was held to.
        null_auc: Mean area under the ROC without a leak.
        leak_auc: The same with a planted leak.
        notes: What is lawful, and worth knowing.
    """

    attack: str
    laws: tuple[str, ...]
    null_auc: float
    leak_auc: float
    notes: tuple[str, ...]

    def __str__(self) -> str:
        """All of it, a line each."""
        areas = f"AUC {self.null_auc:.3f} without a leak, {self.leak_auc:.3f} with a planted one"
        return "\n".join((f"{self.attack} keeps the laws: {', '.join(self.laws)}", areas, *self.notes))


def check_attack(attack: Attack | Callable[..., Any], *, seed: int = 0) -> AttackReport:
    """Hold an attack to the laws that every attack of ours keeps.

    - `one score per record`, a number, in the order of the records;
    - `finite` also where a model is certain: probabilities of exactly 0 and 1, phi of +-100;
    - `inputs unchanged`: other attacks read the same arrays;
    - `deterministic`: the same signals give the same scores;
    - `null`: without a leak it is at chance, though members come first;
    - `leak`: higher means member, where a model is surer of its members;
    - `order of records`: their scores follow them;
    - `order of models`: nothing depends on it, where there are reference models.

    Args:
        attack: A function as for `vestige.audit`, or an `Attack`.
        seed: Seed of the signals that it is played on.

    Returns:
        What was seen. A note says whether a record's score depends on the others, which it is played with in blocks.

    Raises:
        BrokenLawError: It breaks a law; the message says which, and what was seen.
        InputError: It is no attack, or it reads what cannot be made here.

    Example:
        >>> def certainty(probabilities):
        ...     return probabilities.max(axis=1)
        >>> report = check_attack(certainty)
        >>> report.leak_auc > 0.6, report.notes
        (True, ())
    """
    attack = attack if isinstance(attack, Attack) else attack_of(attack)
    if not can_be_planted(attack):
        raise InputError(
            f"Expected an attack that reads answers or reference models, found {attack.name} to read "
            f"{', '.join(attack.reads)}, which cannot be made here; test it on signals of your own."
        )
    rng = np.random.default_rng(seed)
    leaking = planted(attack, _N_LEAK, _LEAK, rng)
    few = leaking.of_records(rng.choice(_N_LEAK, _N_FEW, replace=False))
    laws = ["one score per record", "finite", "inputs unchanged", "deterministic", "null", "leak", "order of records"]
    _scores("one score per record", attack, few)
    for certain in saturated(attack, _N_FEW, rng):
        _scores("finite", attack, certain)
    _check_inputs_unchanged(attack, few)
    _check_deterministic(attack, few)
    null_auc = _check_null(attack, rng)
    leak_auc = _check_leak(attack, leaking)
    there = _scores("order of records", attack, few)
    order = rng.permutation(few.member.size)
    broken = "in another order records get other scores; go by what is handed only."
    _check_order("order of records", attack, few.of_records(order), there[order], broken)
    if attack.needs_references:
        laws.append("order of models")
        models = few.of_models(rng.permutation(len(few.signals["is_in"])))
        broken = "with the reference models in another order records get other scores."
        _check_order("order of models", attack, models, there, broken)
    return AttackReport(
        attack=attack.name, laws=tuple(laws), null_auc=null_auc, leak_auc=leak_auc, notes=_notes(attack, few)
    )


def _scores(law: str, attack: Attack, seen: Planted) -> np.ndarray:
    """Scores, which must be there and be finite whatever law is being checked."""
    try:
        scores = attack.score(*seen.read_by(attack))
    except Exception as error:
        said = f"it fails with {type(error).__name__}: {brief(str(error), 200)}"
        raise BrokenLawError(law, attack.name, said) from error
    try:
        return checked_scores(attack.name, scores, seen.member.size)
    except InputError as error:
        are_numbers = np.asarray(scores).dtype.kind == "f" and np.shape(scores) == seen.member.shape
        raise BrokenLawError("finite" if are_numbers else "one score per record", attack.name, str(error)) from None


def _check_inputs_unchanged(attack: Attack, seen: Planted) -> None:
    handed = seen.read_by(attack)
    attack.score(*handed)
    for name, after in zip(attack.reads, handed, strict=True):
        if not all(map(np.array_equal, arrays_of(after), arrays_of(seen.signals[name]))):
            raise BrokenLawError(
                "inputs unchanged", attack.name, f"it writes into {name}, which others read; work on a copy."
            )


def _check_deterministic(attack: Attack, seen: Planted) -> None:
    first, second = (_scores("deterministic", attack, seen) for _ in range(2))
    n = int(np.count_nonzero(first != second))
    if n:
        broken = f"the same signals gave {n} of {first.size} records another score; take a seed as an option."
        raise BrokenLawError("deterministic", attack.name, broken)


def _check_null(attack: Attack, rng: np.random.Generator) -> float:
    """Without a leak, the mean of many areas is at 1/2 to within chance; ties only make chance smaller."""
    aucs = []
    for _ in range(_N_DRAWS):
        seen = planted(attack, _N_NULL, 0.0, rng)
        aucs.append(_auc(_scores("null", attack, seen), seen.member))
    mean, sd = float(np.mean(aucs)), _sd_of_auc(_N_NULL) / np.sqrt(_N_DRAWS)
    if abs(mean - 0.5) > _Z * sd:
        raise BrokenLawError(
            "null",
            attack.name,
            f"without a leak its AUC is {mean:.3f}, further from 0.5 than chance ({_Z * sd:.3f}); it knows something "
            "that no attacker knows, such as the order of the records.",
        )
    return mean


def _check_leak(attack: Attack, seen: Planted) -> float:
    auc = _auc(_scores("leak", attack, seen), seen.member)
    margin = _Z * _sd_of_auc(seen.member.size)
    if auc <= 0.5 + margin:
        inverted = f"its score is inverted: AUC {auc:.3f}, members score lower; return its negative."
        chance = f"AUC {auc:.3f} where members stand out: no better than chance (0.5 +- {margin:.3f})."
        raise BrokenLawError("leak", attack.name, inverted if auc < 0.5 - margin else chance)
    return auc


def _auc(scores: np.ndarray, member: np.ndarray) -> float:
    return float(roc(scores[member], scores[~member]).auc)


def _sd_of_auc(n_records: int) -> float:
    """Standard deviation of the area where the two halves are alike and no score is tied (Mann & Whitney 1947)."""
    return float(np.sqrt((n_records + 1) / (12 * (n_records / 2) ** 2)))


def _check_order(law: str, attack: Attack, moved: Planted, expected: np.ndarray, broken: str) -> None:
    if not np.allclose(_scores(law, attack, moved), expected, rtol=_CLOSE, atol=_CLOSE):
        raise BrokenLawError(law, attack.name, broken)


def _notes(attack: Attack, seen: Planted) -> tuple[str, ...]:
    """Whether records are scored one by one; an attack that ranks them, or fits a prior across them, is lawful."""
    together = _scores("one score per record", attack, seen)
    try:
        records = [np.array([i]) for i in range(seen.member.size)]
        apart = [_scores("one score per record", attack, seen.of_records(record))[0] for record in records]
        same = np.allclose(apart, together, rtol=_CLOSE, atol=_CLOSE)
    except BrokenLawError:
        same = False
    if same:
        return ()
    blocks = "" if attack.needs_references else "; an audit scores them in blocks, so its numbers depend on their size"
    return (f"A record's score depends on which others are scored with it{blocks}.",)
