"""Custom attacks: a plain function as an attack, its needs read from its parameters, its scores checked."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from vestige.core.attack import Attack
from vestige.core.errors import InputError, VestigeError
from vestige.core.messages import brief, nearest
from vestige.core.probabilities import ClassProbabilities
from vestige.core.signal import FOR_CUSTOM, Family, signals_of

_BESIDE_REFERENCES = ("phi", "shadow_phi", "is_in")
_RESERVED = (
    "id",
    "subject",
    "label",
    "class",
    "member",
    "risk",
    "privacy_score",
    "worst",
    "privacy_risk_score",
    "thresholds",
    "all",
)


def attack_of(function: Any) -> Attack:
    """Make an attack of a function from signals to scores.

    What it reads are the names of its parameters without a default: `labels`, `predicted`, `losses`, `p_true`, `phi`
    (of the true class), `probabilities` (records x classes, a plain array), `gradient_norms`; or `phi`, `shadow_phi`
    (models x records) and `is_in` (who was trained on what). Access and knowledge follow from these. Parameters with a
    default are options. Its name is the function's, its definition the first line of the docstring.

    An audit calls it with some thousand records at a time, in two threads, so a record's score must not depend on the
    others or on earlier calls; of reference models all records come at once. What it is handed is read-only.

    Args:
        function: Returns one finite number per record; higher = more likely a member.

    Raises:
        InputError: A parameter is no signal, or the function has no name to stand in a table.

    Example:
        >>> def margin(probabilities, *, power=1.0):
        ...     "Largest probability less the second largest"
        ...     top = np.sort(probabilities, axis=1)
        ...     return (top[:, -1] - top[:, -2]) ** power
        >>> attack = attack_of(margin)
        >>> attack.name, attack.reads, attack.access, attack.knowledge
        ('margin', ('probabilities',), 'confidence', ())
    """
    named = function.func if isinstance(function, functools.partial) else function
    name = getattr(named, "__name__", type(named).__name__)
    if inspect.isclass(function) or not callable(function):
        raise InputError(f"Expected a function from signals to scores as an attack, found {brief(name)}; give one.")
    if not name.isidentifier():
        raise InputError(f"Expected an attack with a name, found {brief(name)}; write a function with def.")
    reads = _reads_of(function, name)
    refuse_attack(name, reads)
    said = (inspect.getdoc(named) or "").strip().splitlines()
    return Attack(
        name=name,
        score=_on_plain_arrays(function, reads) if "probabilities" in reads else function,
        definition=brief(said[0], 200) if said else "not described",
        source="custom",
    )


def _reads_of(function: Callable[..., Any], name: str) -> tuple[str, ...]:
    """Names of the parameters without a default; they are handed over by position."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        raise InputError(
            f"Expected the attack {name} to show its parameters, found none; write a function with def that calls it."
        ) from None
    reads = []
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
            raise InputError(
                f"Expected the attack {name} to name the signals it reads, found {stars}{parameter.name}; name them, "
                f"such as {name}(losses)."
            )
        if parameter.default is parameter.empty:
            if parameter.kind is parameter.KEYWORD_ONLY:
                raise InputError(
                    f"Expected a default for the option {parameter.name} of the attack {name}, found none; give it one."
                )
            reads.append(parameter.name)
    return tuple(reads)


def refuse_attack(name: str, reads: tuple[str, ...]) -> None:
    """Refuse a custom attack that cannot be played, or that would not be told apart in a table.

    Raises:
        InputError: Naming what is wrong.
    """
    if not name.isidentifier() or name in _RESERVED:
        raise InputError(
            f"Expected an attack of another name than {brief(name)}, which the results use for something else; rename "
            "it with letters, digits and _."
        )
    if not reads:
        raise InputError(
            f"Expected the attack {name} to read a signal, found no parameter without a default; signals are "
            f"{', '.join(FOR_CUSTOM)}."
        )
    for signal in reads:
        if signal in ("member", "members", "membership", "is_member"):
            raise InputError(
                f"Expected signals as parameters of the attack {name}, found {signal}: attacks never see the "
                "membership of what they score, which is what they are to find out; leave it out."
            )
        if signal not in FOR_CUSTOM:
            raise InputError(
                f"Expected signals as parameters of the attack {name}, found {signal}; {nearest(signal, FOR_CUSTOM)}; "
                "options need a default."
            )
    of_references = any(signal.family is Family.REFERENCES for signal in signals_of(reads))
    beside = [signal for signal in reads if signal not in _BESIDE_REFERENCES]
    if of_references and beside:
        raise InputError(
            f"Expected the attack {name} to read only phi, shadow_phi and is_in of reference models, found {beside[0]} "
            "as well; leave it out."
        )


def _on_plain_arrays(function: Callable[..., Any], reads: tuple[str, ...]) -> Callable[..., Any]:
    """Return the function for plain probabilities; built-in attacks get `ClassProbabilities`, with logarithms."""
    place = reads.index("probabilities")

    @functools.wraps(function)
    def score(*signals: Any, **options: Any) -> Any:
        return function(*signals[:place], signals[place].p, *signals[place + 1 :], **options)

    return score


def guarded(attack: Attack) -> Attack:
    """Return the attack with everything checked that ours are tested for: it fails by its name, or scores.

    What it is handed is read-only, because other attacks read the same arrays. Its score raises InputError if the
    function fails, or if it does not give one finite number per record.
    """

    @functools.wraps(attack.score)
    def score(*signals: Any, **options: Any) -> np.ndarray:
        try:
            values = attack.score(*map(_read_only, signals), **options)
        except VestigeError:
            raise
        except Exception as error:
            raise InputError(
                f"Expected scores of the attack {attack.name}, found that it fails with {type(error).__name__}: "
                f"{brief(str(error), 200)}; mend it, vestige.testing.check_attack may tell more."
            ) from error
        first = signals[0]
        n_records = first.n_records if isinstance(first, ClassProbabilities) else int(first.shape[-1])
        return checked_scores(attack.name, values, n_records)

    return replace(attack, score=score)


def checked_scores(name: str, scores: Any, n_records: int) -> np.ndarray:
    """Return an attack's scores as float64.

    Raises:
        InputError: They are not one finite number per record.
    """
    try:
        values = np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"Expected numbers as scores of the attack {name}, found {type(scores).__name__}.") from None
    if values.shape != (n_records,):
        raise InputError(
            f"Expected one score per record of the attack {name}, shape ({n_records},), found shape {values.shape}; "
            "return one number for each row."
        )
    bad = int(np.count_nonzero(~np.isfinite(values)))
    if bad:
        raise InputError(
            f"Expected finite scores of the attack {name}, found NaN or infinity for {bad:,} of {n_records:,} records; "
            "keep logarithms and divisions away from 0, as np.log(np.maximum(p, 1e-30)) does."
        )
    return values


def _read_only(signal: Any) -> Any:
    if isinstance(signal, ClassProbabilities):
        return replace(signal, **{name: _read_only(values) for name, values in vars(signal).items()})
    view = np.asarray(signal).view()
    view.flags.writeable = False
    return view
