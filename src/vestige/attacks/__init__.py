"""Attacks: what is observed of a model -> one score per record, higher = more likely a member.

One paper's attack is one pure function in one file, with its entry in `CATALOGUE` above it. Attacks read no file, draw
no random number, see no membership of what they score, and do not know each other.

A file in this folder is found by itself: `from vestige.attacks.lira import lira_online`.
"""

import pkgutil
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.resources import files
from typing import Any

from vestige.core.attack import Attack
from vestige.core.custom_attacks import attack_of, guarded
from vestige.core.errors import InputError
from vestige.core.messages import nearest
from vestige.core.signal import KNOWLEDGE

__all__ = ["CATALOGUE", "KNOWLEDGE", "Attack", "bibtex", "calibrated", "named"]


def _found() -> Iterator[Attack]:
    """The entries of every file here, by file."""
    for module in pkgutil.iter_modules(__path__):
        if not module.name.startswith("_"):
            for value in vars(import_module(f"{__name__}.{module.name}")).values():
                entry = getattr(value, "attack", None)
                if isinstance(entry, Attack):
                    yield entry


def _place(entry: Attack) -> int:
    """Attacks on answers first, then those with reference models, by labels of copies, and those that learn."""
    return 3 if entry.learns else 2 if entry.asks_copies else 1 if entry.needs_references else 0


CATALOGUE: tuple[Attack, ...] = tuple(sorted(_found(), key=_place))
"""Every attack, in the order of the tables: by what it reads, then by file."""

globals().update({entry.name: entry.score for entry in CATALOGUE})  # `attacks.lira_online` is the function


def named(name: str) -> Attack:
    """Return the attack of a name.

    Raises:
        InputError: There is no such attack.

    Example:
        >>> named("rmia_online").with_options(gamma=2.0).options
        {'gamma': 2.0}
    """
    ours = {entry.name: entry for entry in CATALOGUE}
    if name not in ours:
        raise InputError(f"Expected an attack of the catalogue, found {name}; {nearest(name, ours)}.")
    return ours[name]


def calibrated(score: str | Attack | Callable[..., Any]) -> Attack:
    """Return the attack that compares a score with what models that never saw the record score.

    Args:
        score: An attack of ours by its name, a custom attack, or a function from signals to scores. An audit also takes
            `calibrated_NAME` for one of ours.

    Raises:
        InputError: There is no such attack, or it is none on a model's answers about one record.

    Example:
        >>> def margin(probabilities):
        ...     return probabilities.max(axis=1)
        >>> calibrated("max_confidence").name, calibrated(margin).name
        ('calibrated_max_confidence', 'calibrated_margin')

    Source:
        Watson et al. 2022, eq. 5; see `vestige.attacks.calibration.calibrated`.
    """
    from vestige.attacks import calibration

    if isinstance(score, str):
        return calibration.calibrated(named(score))
    entry = getattr(score, "attack", score)
    return calibration.calibrated(entry if isinstance(entry, Attack) else guarded(attack_of(entry)))


def bibtex(*names: str) -> str:
    """Return the BibTeX entries of the papers that attacks are from, each once.

    Args:
        names: Names of attacks of the catalogue.

    Raises:
        InputError: There is no such attack.

    Example:
        >>> print(bibtex("lira_online").splitlines()[0])
        @inproceedings{carlini2022membership,
    """
    text = files("vestige.attacks").joinpath("sources.bib").read_text(encoding="utf-8")
    entries = {entry[1]: entry[0] for entry in re.finditer(r"^@\w+\{(\w+),\n(?:.*\n)*?\}\n", text, re.MULTILINE)}
    keys = dict.fromkeys(key for name in names for key in named(name).citations)
    return "\n".join(entries[key] for key in keys)
