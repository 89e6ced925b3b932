"""`audit.toml`: an audit of a model as a file. Everything in it is checked before anything is trained."""

import tomllib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from vestige.auditing.querying import Querying
from vestige.auditing.shadow_training import SAME, ShadowTraining
from vestige.auditing.target_file import EndpointPart, InputsPart, Part, TargetPart, called, model_of, querying_of
from vestige.core.durations import seconds_of
from vestige.core.errors import InputError
from vestige.core.jobs import Executor
from vestige.core.options import Options
from vestige.core.predictions import Predictions
from vestige.core.recipe import Recipe
from vestige.core.records import Records


class _Data(Part):
    members: str
    nonmembers: str
    label: str = "label"
    id: str | None = None
    subject: str | None = None
    groups: list[str] = Field(default_factory=list)
    order: list[str] = Field(default_factory=list)
    inputs: list[str] = Field(default_factory=list)


class _Recipe(Part):
    train: str
    n_shadows: int = 64
    within: str | None = None
    stop_at_failure: bool = False
    parameters: dict[str, Any] = Field(default_factory=dict)
    version: str = ""


class AuditFile(Part):
    """What an audit file says.

    Attributes:
        folder: Where it lies: its paths and modules are looked for there.
        target: The model: `module:name` of a fitted model, of a function that returns one or of a function from
            inputs to answers; a file; a URL; or a table of predictions. And what of its answers the adversary gets.
        data: Members and nonmembers: a CSV, Parquet or npz file or a folder of images each, or `module:name` of
            `Records` or of a function that returns them; and the names of the columns of a file.
        inputs: What inputs may be, and how they become what the model is given.
        endpoint: How a model behind a URL is asked.
        recipe: How to train shadow models: `same`, or `module:name` of a recipe or of a function
            `fit(inputs, labels, *, seed)`; none if only the model itself is to be asked.
        options: What can change a number, as in `Options`.
    """

    folder: Path
    target: TargetPart
    data: _Data
    inputs: InputsPart = Field(default_factory=InputsPart)
    endpoint: EndpointPart | None = None
    recipe: _Recipe | None = None
    options: dict[str, Any] = Field(default_factory=dict)

    def model(self, *, trust_pickle: bool = False) -> Any:
        """Return the target: an object of Python, a door to one, or predictions.

        Raises:
            InputError: There is none of that name, or it is said to be two things.
        """
        return model_of(self.target, self.endpoint, self.folder, self._named, self._table, trust_pickle=trust_pickle)

    def querying(self) -> Querying:
        """Return how the model may be asked.

        Raises:
            InputError: A budget, price or range is none.
        """
        return querying_of(self.target, self.inputs)

    def _table(self, path: Path) -> Predictions:
        from vestige.data import Columns, read_predictions

        part = self.data
        columns = Columns(label=part.label, id=part.id, subject=part.subject)
        return read_predictions(path, columns)[0]

    def records(self) -> tuple[Records, Records]:
        """Return members and nonmembers.

        Raises:
            InputError: A file or function does not give records.
        """
        paths = [self.folder / name for name in (self.data.members, self.data.nonmembers)]
        if all(path.is_dir() for path in paths):
            from vestige.data.image_folder import read_two_image_folders

            return read_two_image_folders(paths[0], paths[1])
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
        records = found if isinstance(found, Records) else called(found, name)
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
        return self.model_dump(exclude={"folder", "options"}, exclude_none=True)


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
    return audit_file_of(said, path.resolve().parent, path.name)


def audit_file_of(said: Mapping[str, Any], folder: Path, name: str) -> AuditFile:
    """Return the audit file that says this.

    Args:
        said: Its tables.
        folder: Where its paths and modules are looked for.
        name: What it is called in messages.

    Raises:
        InputError: It says something that is not known.
    """
    if "folder" in said:
        raise InputError(
            f"{name}: Expected target, data, inputs, endpoint, recipe and options, found folder; leave it out."
        )
    try:
        return AuditFile(folder=folder, **said)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{name}: Expected another entry {place}, found: {first['msg'].lower()}.") from None
