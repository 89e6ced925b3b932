"""`audit.toml`: an audit of a model as a file. Everything in it is checked before anything is trained."""

import re
import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vestige.auditing.shadow_training import SAME, ShadowTraining
from vestige.core.errors import InputError
from vestige.core.jobs import Executor
from vestige.core.options import Options
from vestige.core.recipe import Recipe
from vestige.core.records import Records

_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h)")
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Target(_Part):
    model: str


class _Data(_Part):
    members: str
    nonmembers: str
    label: str = "label"
    id: str | None = None
    subject: str | None = None
    groups: list[str] = []
    order: list[str] = []
    inputs: list[str] = []


class _Recipe(_Part):
    train: str
    n_shadows: int = 64
    within: str | None = None
    stop_at_failure: bool = False
    parameters: dict[str, Any] = Field(default_factory=dict)
    version: str = ""


class AuditFile(_Part):
    """What an audit file says.

    Attributes:
        folder: Where it lies: its paths and modules are looked for there.
        target: The model, as `module:name` of a fitted model or of a function that returns one.
        data: Members and nonmembers: a CSV, Parquet or npz file each, or `module:name` of `Records` or of a function
            that returns them; and the names of the columns of a file.
        recipe: How to train shadow models: `same`, or `module:name` of a recipe or of a function
            `fit(inputs, labels, *, seed)`; none if only the model itself is to be asked.
        options: What can change a number, as in `Options`.
    """

    folder: Path
    target: _Target
    data: _Data
    recipe: _Recipe | None = None
    options: dict[str, Any] = Field(default_factory=dict)

    def fitted_model(self) -> Any:
        """Return the target.

        Raises:
            InputError: There is none of that name.
        """
        found = self._named(self.target.model)
        return found if hasattr(found, "predict_proba") or _is_module(found) else _called(found, self.target.model)

    def records(self) -> tuple[Records, Records]:
        """Return members and nonmembers.

        Raises:
            InputError: A file or function does not give records.
        """
        paths = [self.folder / name for name in (self.data.members, self.data.nonmembers)]
        if all(path.exists() for path in paths):
            from vestige.data.record_columns import RecordColumns
            from vestige.data.record_reading import read_two_records

            part = self.data
            columns = RecordColumns(part.label, part.id, part.subject, part.groups, part.order, part.inputs)
            return read_two_records(paths[0], paths[1], columns)
        return self._side(self.data.members), self._side(self.data.nonmembers)

    def _side(self, name: str) -> Records:
        if ":" not in name:
            raise InputError(f"Expected a file or module:name of records, found no file {name} beside the audit file.")
        found = self._named(name)
        records = found if isinstance(found, Records) else _called(found, name)
        if not isinstance(records, Records):
            raise InputError(f"Expected Records from {name}, found {type(records).__name__}.")
        return records

    def training(
        self,
        *,
        bank: str | Path | None = None,
        n_models: int | None = None,
        within: str | None = None,
        executor: Executor | None = None,
    ) -> ShadowTraining | None:
        """Return how to train shadow models; None without a recipe.

        Args:
            bank: Where models are kept.
            n_models: How many, instead of what the file says.
            within: Time there is, such as `20m`, instead of what the file says.
            executor: Who works.

        Raises:
            InputError: The recipe's name, or a number, is not what it should be.
        """
        if self.recipe is None:
            if within is not None or executor is not None or n_models is not None:
                raise InputError("Expected a recipe in the audit file for shadow models, found none; add [recipe].")
            return None
        time = within or self.recipe.within
        seconds = None if time is None else seconds_of(time)
        return ShadowTraining(
            SAME if self.recipe.train == SAME else self._recipe(self.recipe),
            n_models=n_models or self.recipe.n_shadows,
            within=seconds,
            bank=bank,
            executor=executor,
            stop_at_failure=self.recipe.stop_at_failure,
        )

    def _recipe(self, part: _Recipe) -> Recipe:
        from vestige.training.function_recipe import FunctionRecipe

        found = self._named(part.train)
        if isinstance(found, Recipe):
            return found
        return FunctionRecipe(found, parameters=part.parameters, version=part.version)

    def _named(self, name: str) -> Any:
        from vestige.training.identity import named_object

        return named_object(name, self.folder)

    def checked_options(self) -> Options:
        """Return the options.

        Raises:
            InputError: There is no such option, or a value is out of range.
        """
        unknown = sorted(set(self.options) - set(asdict(Options())))
        if unknown:
            known = ", ".join(asdict(Options()))
            raise InputError(f"Expected options among {known}, found {unknown[0]}; check the spelling.")
        return Options(**self.options)

    def as_tables(self) -> dict[str, dict[str, Any]]:
        """Return what it says, every default written out, for the run's own `audit.toml`."""
        said = self.model_dump(exclude={"folder", "options"}, exclude_none=True)
        return {name: {k: v for k, v in part.items() if not isinstance(v, dict)} for name, part in said.items()}


def read_audit_file(path: Path) -> AuditFile:
    """Read an audit file.

    Raises:
        InputError: There is no such file, it is no TOML, or it says something that is not known; naming the place.
    """
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path.name}: Expected an audit file, found none there; check the path.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name}: Expected a readable audit file, found {error}.") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path.name}: Expected TOML, found {error}; quote text, one table per [name].") from None
    if "folder" in said:
        raise InputError(f"{path.name}: Expected target, data, recipe and options, found folder; leave it out.")
    try:
        return AuditFile(folder=path.resolve().parent, **said)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path.name}: Expected another entry {place}, found: {first['msg'].lower()}.") from None


def seconds_of(text: str) -> float:
    """Return a time such as `90s`, `20m` or `1.5h` in seconds.

    Raises:
        InputError: It is no such time.

    Example:
        >>> seconds_of("20m"), seconds_of("1.5h")
        (1200.0, 5400.0)
    """
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise InputError(f"Expected a time such as 90s, 20m or 1.5h, found {text!r}.")
    return float(match[1]) * _SECONDS[match[2]]


def _is_module(found: Any) -> bool:
    return any(base.__module__.startswith("torch.nn.") for base in type(found).__mro__)


def _called(function: Any, name: str) -> Any:
    if not callable(function):
        raise InputError(f"Expected a model, records or a function as {name}, found {type(function).__name__}.")
    try:
        return function()
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"Expected {name}() to return something, found {type(error).__name__}: {error}.") from error
