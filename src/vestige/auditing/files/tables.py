"""Tables of an audit file as frozen dataclasses; an error in them is reported in one line."""

import json
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from datetime import date, time
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from vestige.auditing.selection import ALL, Selection, select
from vestige.core.errors import InputError
from vestige.core.likelihood_ratio import LikelihoodRatio
from vestige.core.messages import brief, nearest
from vestige.core.options import Options
from vestige.core.schema import Schema

Tables = TypeVar("Tables", bound="SharedTables")

_KINDS = {
    "dataclass_type": "a table",
    "dict_type": "a table",
    "list_type": "a list",
    "tuple_type": "a list",
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
}
_SECRET = "endpoint.headers"  # what is written there by mistake is not repeated


@dataclass(frozen=True)
class AttacksTable(Schema):
    """`[attacks]`: what is played, as in `select`; and options of attacks, each in a table `[attacks.NAME]`."""

    use: list[str] = field(default_factory=lambda: [ALL])
    options: dict[str, dict[str, float | int | str | bool]] = field(default_factory=dict)


@dataclass(frozen=True)
class PolicyTable(Schema):
    """`[policy]`: conditions that a release must not fulfil, as after `--fail-if`."""

    fail_if: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class PathsTable(Schema):
    """`[paths]`: the folder that paths start from, where it is not that of the file."""

    relative_to: str = "."


@dataclass(frozen=True, kw_only=True)
class SharedTables(Schema):
    """Tables that audits of models, of recipes and of predictions have in common.

    Attributes:
        attacks: What is played: `all`, names of ours, `module:function` of own ones.
        likelihood_ratio: How LiRA is played; the defaults if omitted.
        options: What can change a number.
        policy: Conditions that a release must not fulfil.
        paths: The folder that paths start from: a run's own file names that of the file it was made from.
        folder: That folder, where modules are looked for too; no table.
    """

    attacks: AttacksTable = field(default_factory=AttacksTable)
    likelihood_ratio: LikelihoodRatio | None = None
    options: Options = field(default_factory=Options)
    policy: PolicyTable = field(default_factory=PolicyTable)
    paths: PathsTable = field(default_factory=PathsTable)
    folder: Path = field(default=Path(), init=False)

    def selection(self) -> Selection:
        """Return the attacks that are to be played.

        Raises:
            InputError: There is no such attack or option, or a custom one cannot be played.
        """
        chosen = select(self.attacks.use, self.folder)
        by_name = {attack.name: attack for attack in chosen.attacks if attack.name not in chosen.own}
        with_options = []
        for name, options in self.attacks.options.items():
            if name not in by_name:
                raise InputError(
                    f"Expected options of an attack that is played, found [attacks.{name}]; {nearest(name, by_name)}."
                )
            with_options.append(by_name[name].with_options(**options))
        return select([*self.attacks.use, *with_options], self.folder) if with_options else chosen

    def as_tables(self, run: Path, fail_if: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return what it says, every default written out, for the run's own `audit.toml`.

        Args:
            run: Folder of the run: paths start from the same folder as before, named from there.
            fail_if: All conditions that were judged.
        """
        tables = as_table(self)
        del tables["folder"]
        tables["attacks"] |= tables["attacks"].pop("options")
        folder = Path(os.path.relpath(self.folder, run.resolve())).as_posix()
        return tables | {"policy": {"fail_if": list(fail_if)}, "paths": {"relative_to": folder}}


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tables of a file.

    Raises:
        InputError: There is no such file, or it is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path.name}: Expected an audit file, found none there; check the path.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name}: Expected a readable audit file, found {error}.") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path.name}: Expected TOML, found {error}; quote text, one table per [name].") from None


def read_tables(kind: type[Tables], said: Mapping[str, Any], folder: Path, name: str) -> Tables:
    """Return the dataclass that tables describe.

    Args:
        kind: A dataclass whose fields are tables.
        said: Tables as TOML gives them.
        folder: What paths are relative to, unless `[paths]` says otherwise.
        name: What the tables are called in messages.

    Raises:
        InputError: Something is unknown, missing or of another type; the message names the first such place.
    """
    for place, value in _leaves(said):
        if isinstance(value, date | time):
            raise InputError(
                f"{name}: Expected text, a number, a list or a table as {place}, found the date {value}; quote it."
            )
    said = _with_options_of_attacks(said)
    try:
        # As JSON, whose strict types are those of TOML: a list may become a tuple, and text the member of an enum.
        tables: Tables = _adapter(kind).validate_json(json.dumps(said))
    except ValidationError as error:
        raise InputError(f"{name}: {_first_problem(error, kind, said)}") from None
    base = folder / tables.paths.relative_to
    if not base.is_dir():
        raise InputError(
            f"{name}: Expected the folder that paths start from as relative_to in [paths], found no folder "
            f"{brief(tables.paths.relative_to)} from where the file is; write another."
        )
    object.__setattr__(tables, "folder", base.resolve())
    return tables


def _with_options_of_attacks(said: Mapping[str, Any]) -> Mapping[str, Any]:
    """Tables `[attacks.NAME]` as the entry `options` of `[attacks]`."""
    attacks = said.get("attacks")
    if not isinstance(attacks, Mapping):
        return said
    options = {name: table for name, table in attacks.items() if isinstance(table, Mapping)}
    rest = {name: value for name, value in attacks.items() if name not in options}
    return {**said, "attacks": {**rest, "options": options} if options else rest}


def as_table(value: Schema) -> dict[str, Any]:
    """Return a dataclass as tables for TOML: every default written out, without what is None."""
    return asdict(value, dict_factory=lambda items: {name: entry for name, entry in items if entry is not None})  # type: ignore[call-overload, no-any-return]


_adapter: Any = cache(TypeAdapter)


def _leaves(said: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    if isinstance(said, Mapping | list):
        for name, value in said.items() if isinstance(said, Mapping) else enumerate(said):
            yield from _leaves(value, (*place, str(name)))
    else:
        yield ".".join(place), said


def _first_problem(error: ValidationError, kind: type, said: Mapping[str, Any]) -> str:
    """Say what is wrong with the first entry that is; a misspelt name comes before what is then missing."""
    problems = sorted(error.errors(), key=lambda problem: problem["type"] != "unexpected_keyword_argument")
    first = problems[0]
    place, value = _place(first, said)
    if first["type"] == "value_error":
        return str(first["ctx"]["error"])
    if first["type"] == "missing":
        return f"Expected an entry {'.'.join(place)}, found none; add it."
    found = "something else" if ".".join(place).startswith(_SECRET) else _shown(value)
    if first["type"] == "unexpected_keyword_argument":
        return (
            f"Expected no entry {'.'.join(place)}, which is unknown, found {place[-1]} = {found}; check the spelling "
            f"({nearest(place[-1], _known(kind, place[:-1]))}) or leave it out."
        )
    same = [problem for problem in problems if _place(problem, said)[0] == place]
    kinds = dict.fromkeys(_KINDS.get(p["type"], p["msg"].removeprefix("Input should be ")) for p in same)
    where = f"{'.'.join(place[1:])} in [options]" if place[:1] == ["options"] and place[1:] else ".".join(place)
    return f"Expected {' or '.join(kinds)} as {where}, found {found}; write another value or leave it out."


def _place(problem: Any, said: Any) -> tuple[list[str], Any]:
    """Where a problem is in what the user wrote, and what stands there.

    In between, pydantic names the types that it tried.
    """
    written: list[str] = []
    for part in problem["loc"]:
        is_there = part in (said if isinstance(said, Mapping) else range(len(said)) if isinstance(said, list) else ())
        if not is_there and problem["type"] != "missing":
            continue
        written.append(str(part))
        said = said[part] if is_there else None
    return written, said


def _known(kind: Any, place: list[str]) -> list[str]:
    """Names of the entries of a table."""
    for name in place:
        hint = get_type_hints(kind)[name]
        kind = next(one for one in (hint, *get_args(hint)) if is_dataclass(one))
    return [entry.name for entry in fields(kind) if entry.init]


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else brief(repr(value))
