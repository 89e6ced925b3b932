"""Which attacks an audit plays: all built-in ones, some of them, and a user's custom ones."""

import functools
import hashlib
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vestige.attacks import CATALOGUE, calibrated
from vestige.core.attack import Attack
from vestige.core.custom_attacks import attack_of, guarded, refuse_attack
from vestige.core.errors import InputError
from vestige.core.messages import brief, nearest
from vestige.training.identity import identity_of, named_object, plain

ALL = "all"
_CALIBRATED = "calibrated_"
_OURS = {attack.name: attack for attack in CATALOGUE}
_OF_ALL = tuple(attack.name for attack in CATALOGUE if not attack.learns)  # the others take minutes, and add little


@dataclass(frozen=True)
class Selection:
    """The attacks of an audit.

    Attributes:
        attacks: In the order of the tables: built-in ones, then custom ones as they were named. Custom ones are
            guarded: their score is refused if it is not one finite number per record.
        asked: What was asked for: `all`, a built-in attack with its options, or `module:function` with the digest of a
            custom attack's code.
        definition: The same in words that may be released: custom attacks by name, not by place.
    """

    attacks: tuple[Attack, ...]
    asked: Mapping[str, str]
    definition: str

    def reads(self, signal: str) -> bool:
        """Whether one of the attacks reads this signal."""
        return any(signal in attack.reads for attack in self.attacks)

    def natural_threshold(self, name: str) -> float | None:
        """The score above which an attack itself calls a record a member; None if it only ranks."""
        return next((attack.natural_threshold for attack in self.attacks if attack.name == name), None)

    @property
    def own(self) -> tuple[str, ...]:
        """Names of the custom attacks."""
        return tuple(attack.name for attack in self.attacks if attack.name not in _OURS)

    @property
    def left_out(self) -> tuple[str, ...]:
        """Names of built-in attacks that were left out on request."""
        return tuple(name for name in self._others if ALL not in self.asked or name in _OF_ALL)

    @property
    def unasked(self) -> tuple[str, ...]:
        """Names of built-in attacks that learn, which `all` does not include, and that were not named."""
        return tuple(name for name in self._others if ALL in self.asked and name not in _OF_ALL)

    @property
    def _others(self) -> list[str]:
        chosen = {attack.name for attack in self.attacks}
        return [name for name in _OURS if name not in chosen]

    def needs(self) -> str:
        """Return what each of the attacks must be given, for a message."""
        return "; ".join(f"{attack.name} needs {attack.needs}" for attack in self.attacks[:5])


def select(attacks: str | Sequence[str | Attack | Callable[..., Any]] = ALL, folder: Path | None = None) -> Selection:
    """Return the attacks that are asked for.

    Args:
        attacks: `all` (the built-in ones that learn nothing from known members), their names, functions from signals to
            scores, `Attack` values, or `module:function`.
        folder: Where a module is looked for first; the current one if omitted.

    Raises:
        InputError: There is no such attack, or a custom one cannot be played or told apart.

    Example:
        >>> def closeness(p_true):
        ...     return p_true
        >>> [attack.name for attack in select(["loss", closeness]).attacks]
        ['loss', 'closeness']
    """
    attacks = (ALL,) if attacks == ALL else attacks
    _refuse_no_list(attacks)
    chosen: dict[str, Attack] = {}
    own: dict[str, Attack] = {}
    functions: dict[str, Any] = {}
    asked: dict[str, str] = {}
    words: list[str] = []
    for entry in attacks:
        if isinstance(entry, str) and (entry == ALL or entry in _OURS):
            chosen = {**{name: _OURS[name] for name in (_OF_ALL if entry == ALL else (entry,))}, **chosen}
            asked.setdefault(entry, "")
            words.append(
                "all of ours that could be played, but for those that are played by name alone"
                if entry == ALL
                else entry
            )
            continue
        named = _found(entry, folder)
        if isinstance(named, Attack) and named.calibrates is not None:
            own[named.name], functions[named.name], asked[named.name] = named, named, _digest_of_plain(named.calibrates)
            words.append(f"{named.name} (sha256 {asked[named.name][:12]})" if asked[named.name] else named.name)
            continue
        function = named.score if isinstance(named, Attack) else named
        attack = named if isinstance(named, Attack) else attack_of(named)
        if attack.name in _OURS and function is _OURS[attack.name].score:
            if asked.get(attack.name):
                found = "found it with other options as well; leave one out."
                raise InputError(f"Expected the attack {attack.name} once, {found}")
            chosen[attack.name] = attack
            asked[attack.name] = json.dumps(plain(attack.options), sort_keys=True) if attack.options else ""
            options = ", ".join(f"{name} = {value}" for name, value in sorted(attack.options.items()))
            words.append(f"{attack.name} with {options}" if options else attack.name)
            continue
        _refuse_custom(attack)
        if functions.setdefault(attack.name, function) is not function:
            raise InputError(f"Expected custom attacks of different names, found two named {attack.name}; rename one.")
        own[attack.name] = attack
        digest = _digest_of(function, attack)
        asked[entry if isinstance(entry, str) else _place_of(function, attack.name)] = digest
        words.append(f"{attack.name}, a custom attack (sha256 {digest[:12]})")
    of_ours = (chosen[name] for name in _OURS if name in chosen)
    customs = (attack if attack.calibrates is not None else guarded(attack) for attack in own.values())
    return Selection((*of_ours, *customs), asked, "; ".join(dict.fromkeys(words)))


def _found(entry: Any, folder: Path | None) -> Any:
    """What an entry names: an attack, or a function of a user's."""
    if isinstance(entry, str) and entry.removeprefix(_CALIBRATED) in _OURS:
        return calibrated(entry.removeprefix(_CALIBRATED))
    if isinstance(entry, str) and ":" not in entry:
        cure = nearest(entry, (ALL, *_OURS))
        raise InputError(f"Expected {ALL}, an attack of ours or module:function, found {brief(entry)}; {cure}.")
    named = named_object(entry, folder) if isinstance(entry, str) else entry
    return getattr(named, "attack", named)  # a function of the catalogue


def _refuse_no_list(attacks: Any) -> None:
    if isinstance(attacks, str) or not attacks:
        raise InputError(
            f"Expected a list of attacks, found {attacks!r}; give names, functions or module:function, such as "
            '["all", my_attack].'
        )


def _digest_of_plain(attack: Attack) -> str:
    """Digest of a custom attack that is calibrated, the options of one of ours."""
    if attack.name in _OURS:
        return json.dumps(plain(attack.options), sort_keys=True) if attack.options else ""
    return _digest_of(inspect.unwrap(attack.score), attack)


def _refuse_custom(attack: Attack) -> None:
    refuse_attack(attack.name, attack.reads)
    if attack.name in _OURS:
        raise InputError(
            f"Expected a custom attack of another name than {attack.name}, which is one of ours; rename it."
        )


def _place_of(function: Any, name: str) -> str:
    if isinstance(function, functools.partial):
        function = function.func
    return f"{function.__module__}:{getattr(function, '__qualname__', name)}"


def _digest_of(function: Any, attack: Attack) -> str:
    """SHA-256 of what a custom attack does, as far as its code shows, so that another one of its name is told apart."""
    seen: dict[str, Any] = {"reads": list(attack.reads), "identity": identity_of(function)}
    seen |= {"options": plain(dict(attack.options))} if attack.options else {}
    if inspect.isfunction(function):
        seen["held"] = plain(inspect.getclosurevars(function).nonlocals)
        try:
            seen["code"] = inspect.getsource(function)  # in a notebook a module has no source, a function has
        except (OSError, TypeError):
            seen["code"] = function.__code__.co_code.hex()
    return hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()
