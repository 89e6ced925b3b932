"""`audit.toml`: an audit of a model as a file. Everything in it is checked before anything is trained."""

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, JsonValue, ValidationError

from vestige.auditing.files.label_only_file import LabelOnlyPart
from vestige.auditing.files.target_file import (
    EndpointPart,
    InputsPart,
    Part,
    TargetPart,
    called,
    is_address,
    model_of,
    querying_of,
)
from vestige.auditing.querying.settings import Querying
from vestige.auditing.selection import ALL, Selection, select
from vestige.auditing.shadows.settings import SAME, ShadowTraining
from vestige.core.durations import seconds_of
from vestige.core.errors import InputError
from vestige.core.jobs import Executor
from vestige.core.likelihood_ratio import LikelihoodRatio
from vestige.core.options import Options
from vestige.core.predictions import Predictions
from vestige.core.recipe import Recipe
from vestige.core.records import Records
from vestige.core.references import References

if TYPE_CHECKING:
    from vestige.data.records.reading import RecordColumns


class _Data(Part):
    members: str | None = None
    nonmembers: str | None = None
    records: str | None = None
    label: str = "label"
    id: str | None = None
    subject: str | None = None
    groups: list[str] = Field(default_factory=list)
    order: list[str] = Field(default_factory=list)
    inputs: list[str] = Field(default_factory=list)
    classes: list[str | int] | None = None


class _Recipe(Part):
    train: str
    n_shadows: int = 64
    within: str | None = None
    stop_at_failure: bool = False
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    version: str = ""
    share: str | float = "1/2"


class _LikelihoodRatio(Part):
    statistic: Literal["logit", "hinge", "loss"] = "logit"
    center: Literal["mean", "median"] = "mean"
    variance: Literal["pooled", "per_record", "published_fixed"] | None = None
    queries: Literal["mean", "full_covariance"] = "mean"
    min_std: float = 1e-3
    counts: Literal["all", "smallest"] = "all"


class _Reference(Part):
    file: str


class _Attacks(Part):
    use: list[str] = Field(default_factory=lambda: [ALL])


class _Policy(Part):
    fail_if: list[str] = Field(default_factory=list)


class _Paths(Part):
    relative_to: str = "."


class AuditFile(Part):
    """What an audit file says.

    Attributes:
        folder: Where its paths and modules are looked for.
        target: The model; none for the audit of a recipe: `module:name` of a fitted model, of a function that returns
            one or of a function from inputs to answers; a file; a URL; or a table of predictions. And what of its
            answers the adversary gets.
        data: Members and nonmembers, or `records` for the audit of a recipe: a CSV, Parquet or npz file or a folder of
            images each, or `module:name` of `Records` or of a function that returns them; the names of the columns of
            a file; and all classes, if a model has some that no file has.
        inputs: What inputs may be, and how they become what the model is given.
        endpoint: How a model behind a URL is asked.
        recipe: How to train shadow models: `same`, or `module:name` of a recipe or of a function
            `fit(inputs, labels, *, seed)`; none if only the model itself is to be asked.
        reference: Reference models that are there: an npz file, a Zarr group or the folder of a run; none if omitted.
        likelihood_ratio: How LiRA is played, as in `LikelihoodRatio`; the defaults if omitted.
        label_only: What label-only attacks ask; nothing if omitted.
        attacks: What is played: `all`, names of ours, `module:function` of own ones.
        options: What can change a number, as in `Options`.
        policy: Conditions that a release must not fulfil, as after `--fail-if`.
        paths: The folder that paths start from, where it is not that of the file: a run's own file names that of the
            file it was made from.
    """

    folder: Path
    target: TargetPart | None = None
    data: _Data
    inputs: InputsPart = Field(default_factory=InputsPart)
    endpoint: EndpointPart | None = None
    recipe: _Recipe | None = None
    reference: _Reference | None = None
    label_only: LabelOnlyPart | None = None
    likelihood_ratio: _LikelihoodRatio | None = None
    attacks: _Attacks = Field(default_factory=_Attacks)
    options: dict[str, Any] = Field(default_factory=dict)
    policy: _Policy = Field(default_factory=_Policy)
    paths: _Paths = Field(default_factory=_Paths)

    def model(self, *, trust_pickle: bool = False) -> Any:
        """Return the target: an object of Python, a door to one, or predictions.

        Raises:
            InputError: There is none of that name, or it is said to be two things.
        """
        part = self._target_part()
        found = model_of(part, self.endpoint, self.folder, self._named, self._table, trust_pickle=trust_pickle)
        if isinstance(found, Predictions) and self.inputs != InputsPart():
            name = Path(part.model).name
            raise InputError(
                f"Expected no [inputs] for a table of predictions ({name}), which is not asked, found some; leave them "
                "out."
            )
        return found

    def modules(self) -> list[str]:
        """Return what is named as `module:name`: code of the user's, which runs once it is asked for."""
        target, data = self.target, self.data
        named = [] if target is None else [target.model, target.factory]
        named += [data.members, data.nonmembers, data.records, *self.attacks.use]
        named += [] if self.recipe is None else [self.recipe.train]
        is_code = (name for name in named if name and ":" in name and "://" not in name)
        return [name for name in dict.fromkeys(is_code) if not (self.folder / name).exists()]

    def querying(self) -> Querying:
        """Return how the model may be asked.

        Raises:
            InputError: A budget, price or range is none.
        """
        found = querying_of(self._target_part(), self.inputs)
        return found if self.label_only is None else replace(found, label_only=self.label_only.probes())

    @property
    def is_of_recipe(self) -> bool:
        """Whether it asks for the audit of a recipe: no model, and all records in one place."""
        return self.target is None

    def _target_part(self) -> TargetPart:
        if self.target is None:
            raise InputError("Expected [target] in the audit file, found none; name the model.")
        return self.target

    def _table(self, path: Path) -> Predictions:
        from vestige.data import Columns, read_predictions

        columns = Columns(label=self.data.label, id=self.data.id)  # whose record it is, the records say
        return read_predictions(path, columns, members=self._member_ids)[0]

    def _member_ids(self) -> Sequence[Any]:
        ids = self.records()[0].ids
        return () if ids is None else ids.tolist()

    def records(self) -> tuple[Records, Records]:
        """Return members and nonmembers.

        Raises:
            InputError: A file or function does not give records.
        """
        names = (self.data.members or "", self.data.nonmembers or "")
        paths = [self.folder / name for name in names]
        if all(path.is_dir() for path in paths):
            from vestige.data.records.images import read_two_image_folders

            self._refuse_columns("folders of images")
            return read_two_image_folders(paths[0], paths[1])
        if any(path.is_dir() for path in paths):
            one, other = names if paths[0].is_dir() else names[::-1]
            raise InputError(
                f"Expected members and nonmembers of one kind, found the folder {one} and {other}, which is none; give "
                "two folders of images or two files."
            )
        if all(path.exists() for path in paths):
            from vestige.data.records.reading import read_two_records

            return read_two_records(paths[0], paths[1], self._columns(), classes=self.data.classes)
        missing = [name for name, path in zip(names, paths, strict=True) if ":" not in name and not path.exists()]
        if missing:
            raise InputError(f"Expected a file or module:name of records, found no file {missing[0]}; check the path.")
        self._refuse_columns("records of Python")
        return self._side(names[0]), self._side(names[1])

    def all_records(self) -> Records:
        """Return the records of the audit of a recipe.

        Raises:
            InputError: A file or function does not give records.
        """
        name = self.data.records or ""
        path = self.folder / name
        if path.is_dir():
            from vestige.data.records.images import read_image_folder

            self._refuse_columns("folders of images")
            return read_image_folder(path)
        if path.exists():
            from vestige.data.records.reading import read_records

            return read_records(path, self._columns(), classes=self.data.classes)
        if ":" not in name:
            raise InputError(f"Expected a file or module:name of records, found no file {name}; check the path.")
        self._refuse_columns("records of Python")
        return self._side(name)

    def _columns(self) -> "RecordColumns":
        from vestige.data.records.reading import RecordColumns

        part = self.data
        return RecordColumns(part.label, part.id, part.subject, part.groups, part.order, part.inputs)

    def _refuse_columns(self, what: str) -> None:
        """Refuse names of columns where there are none."""
        said = self.data.model_dump(exclude={"members", "nonmembers", "records"})
        usual = _Data().model_dump()
        idle = [name for name, value in said.items() if value != usual[name]]
        if idle:
            raise InputError(f"Expected no {idle[0]} in [data] for {what}, found one; leave it out.")

    def _side(self, name: str) -> Records:
        if ":" not in name:
            raise InputError(
                f"Expected members and nonmembers of one kind, found the file {name} and an object of Python; give two "
                "files or two objects."
            )
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
            share=self.recipe.share,
        )

    def likelihood(self) -> LikelihoodRatio | None:
        """Return how LiRA is played; None if it does not say so.

        Raises:
            InputError: Two choices do not go together, or a number is out of range.
        """
        return None if self.likelihood_ratio is None else LikelihoodRatio(**self.likelihood_ratio.model_dump())

    def references(self, classes: Sequence[str] | None) -> References | None:
        """Return the reference models that it names, if it names any.

        Args:
            classes: Class names of the records.

        Raises:
            InputError: It is no such file or folder.
        """
        if self.reference is None:
            return None
        from vestige.data.predictions.references import read_references

        return read_references(self.folder / self.reference.file, classes=classes)

    def _recipe(self, part: _Recipe) -> Recipe:
        from vestige.training.function_recipe import FunctionRecipe

        found = self._named(part.train)
        if isinstance(found, Recipe):
            return found
        return FunctionRecipe(found, parameters=part.parameters, version=part.version)

    def _named(self, name: str) -> Any:
        from vestige.training.identity import named_object

        return named_object(name, self.folder)

    def selection(self) -> Selection:
        """Return the attacks that are to be played.

        Raises:
            InputError: There is no such attack, or an own one cannot be played.
        """
        return select(self.attacks.use, self.folder)

    def checked_options(self) -> Options:
        """Return the options.

        Raises:
            InputError: There is no such option, or a value is out of range.
        """
        unknown = sorted(set(self.options) - set(asdict(Options())))
        if unknown:
            known = ", ".join(asdict(Options()))
            raise InputError(f"Expected options among {known}, found {unknown[0]}; check the spelling.")
        return Options(**{name: _option(name, value) for name, value in self.options.items()})

    def as_tables(
        self, run: Path, fail_if: Sequence[str], *, n_models: int | None = None, within: str | None = None
    ) -> dict[str, dict[str, Any]]:
        """Return what it says, every default written out, for the run's own `audit.toml`.

        Args:
            run: Folder of the run: paths start from the same folder as before, named from there.
            fail_if: All conditions that were judged.
            n_models: As given to `training`.
            within: As given to `training`.
        """
        tables: dict[str, dict[str, Any]] = self.model_dump(exclude={"folder", "options"}, exclude_none=True)
        if self.target is not None and is_address(self.target.model):
            tables["endpoint"] = (self.endpoint or EndpointPart()).model_dump(exclude_none=True)
        said = {"n_shadows": n_models, "within": within}
        if "recipe" in tables:
            tables["recipe"] |= {name: value for name, value in said.items() if value is not None}
        folder = Path(os.path.relpath(self.folder, run.resolve())).as_posix()
        return tables | {"policy": {"fail_if": list(fail_if)}, "paths": {"relative_to": folder}}


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
            f"{name}: Expected target, data, inputs, endpoint, recipe, reference, label_only, likelihood_ratio, "
            "attacks, options, policy and paths, found folder; leave it out."
        )
    try:
        found = AuditFile(folder=folder, **said)
    except ValidationError as error:
        raise InputError(f"{name}: {_first_problem(error, said)}") from None
    _refuse_halves(found, name)
    base = folder / found.paths.relative_to
    if not base.is_dir():
        raise InputError(
            f"{name}: Expected the folder that paths start from as relative_to in [paths], found no folder "
            f"{found.paths.relative_to} from where the file is; write another."
        )
    return found.model_copy(update={"folder": base.resolve()})


def _refuse_halves(file: AuditFile, name: str) -> None:
    """Refuse what is half the audit of a model and half that of a recipe."""
    data = file.data
    sides = [side for side in ("members", "nonmembers") if getattr(data, side) is not None]
    if file.target is not None:
        if data.records is not None:
            raise InputError(
                f"{name}: Expected members and nonmembers in [data] beside [target], found records, which are for the "
                "audit of a recipe; leave [target] out, or name both sides."
            )
        if len(sides) < 2:
            lacking = "members" if "members" not in sides else "nonmembers"
            raise InputError(
                f"{name}: Expected an entry data.{lacking}, found none; add it. Where there are none, audit the "
                "recipe: leave [target] out, and name all records as records in [data]."
            )
        return
    if len(sides) == 2 and data.records is None:
        raise InputError(f"{name}: Expected an entry target, found none; add it: a table that names the model.")
    if data.records is None or sides:
        raise InputError(
            f"{name}: Expected [target] with members and nonmembers in [data], or records in [data] for the audit of a "
            f"recipe, found {', '.join(sides) if sides else 'none of these'} without [target]; add what is missing."
        )
    if file.recipe is None:
        raise InputError(
            f"{name}: Expected [recipe] for the audit of a recipe, found none; say how models are trained."
        )
    for part, there in (("reference", file.reference), ("endpoint", file.endpoint)):
        if there is not None:
            raise InputError(f"{name}: Expected no [{part}] in the audit of a recipe, found one; leave it out.")
    if file.inputs != InputsPart():
        raise InputError(
            f"{name}: Expected no [inputs] in the audit of a recipe, found some; let the recipe prepare them."
        )


def _option(name: str, value: Any) -> Any:
    """An option as the type that its default has."""
    kind: Any = type(asdict(Options())[name])
    accepted, what = {int: (int, "a whole number"), float: (int | float, "a number")}.get(kind, (str, "text"))
    if isinstance(value, bool) or not isinstance(value, accepted):
        raise InputError(f"Expected {what} as {name} in [options], found {value!r}.")
    try:
        return kind(value)
    except ValueError:
        raise InputError(f"Expected one of {', '.join(kind)} as {name}, found {value!r}.") from None


_KINDS = {
    "model_type": "a table",
    "dict_type": "a table",
    "list_type": "a list",
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "invalid-json-value": "text, a number, a list or a table",
}


def _first_problem(error: ValidationError, said: Mapping[str, Any]) -> str:
    """Say what is wrong with the first entry that is; what it holds is not repeated."""
    problems = error.errors()
    first, place = problems[0], _place(problems[0], said)
    if first["type"] == "missing":
        return f"Expected an entry {place}, found none; add it."
    if first["type"] == "extra_forbidden":
        return f"Expected no entry {place}, which is unknown, found one; check the spelling or leave it out."
    same = [problem for problem in problems if _place(problem, said) == place]
    kinds = dict.fromkeys(_KINDS.get(p["type"], p["msg"].removeprefix("Input should be ")) for p in same)
    return f"Expected {' or '.join(kinds)} as {place}, found something else; write another value or leave it out."


def _place(problem: Any, said: Any) -> str:
    """Where a problem is in what the user wrote; further on, pydantic names the types that it tried."""
    written: list[str] = []
    for part in problem["loc"]:
        is_there = part in said if isinstance(said, Mapping) else isinstance(said, list) and isinstance(part, int)
        if not is_there and problem["type"] != "missing":
            break
        written.append(str(part))
        said = said[part] if is_there else None
    return ".".join(written)
