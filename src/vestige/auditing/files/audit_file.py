"""`audit.toml`: an audit as a file. Everything in it is checked before anything is trained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vestige.auditing.files.label_only_file import LabelOnlyTable
from vestige.auditing.files.tables import SharedTables, as_table, read_tables, read_toml
from vestige.auditing.files.target_file import EndpointTable, TargetTable, called, is_address, model_of
from vestige.auditing.querying.settings import Querying
from vestige.auditing.shadows.settings import SAME, ShadowTraining
from vestige.core.errors import InputError
from vestige.core.inputs import InputSpace
from vestige.core.jobs import Executor
from vestige.core.messages import seconds_of
from vestige.core.predictions import Predictions
from vestige.core.recipe import Recipe
from vestige.core.records import Records
from vestige.core.references import References
from vestige.core.schema import Schema
from vestige.data.records.reading import RecordColumns


@dataclass(frozen=True, kw_only=True)
class DataTable(RecordColumns, Schema):
    """`[data]`: members and nonmembers, or all records; and the names of the columns of a file, as `RecordColumns`."""

    members: str | None = None
    nonmembers: str | None = None
    records: str | None = None
    classes: list[str | int] | None = None

    def columns(self) -> RecordColumns:
        """Return the names of columns alone."""
        return RecordColumns(self.label, self.id, self.subject, self.groups, self.order, self.inputs)


@dataclass(frozen=True, kw_only=True)
class RecipeTable(Schema):
    """`[recipe]`: how shadow models are trained, and how many."""

    train: str
    n_shadows: int = 64
    within: str | None = None
    stop_at_failure: bool = False
    parameters: dict[str, Any] = field(default_factory=dict)
    version: str = ""
    share: str | float = "1/2"


@dataclass(frozen=True)
class ReferenceTable(Schema):
    """`[reference]`: reference models that are there."""

    file: str


@dataclass(frozen=True, kw_only=True)
class AuditFile(SharedTables):
    """What an audit file says of the audit of a model or of a recipe.

    Attributes:
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
        label_only: What label-only attacks ask; nothing if omitted.
    """

    target: TargetTable | None = None
    data: DataTable
    inputs: InputSpace = field(default_factory=InputSpace)
    endpoint: EndpointTable | None = None
    recipe: RecipeTable | None = None
    reference: ReferenceTable | None = None
    label_only: LabelOnlyTable | None = None

    def model(self, *, trust_pickle: bool = False) -> Any:
        """Return the target: an object of Python, a door to one, or predictions.

        Raises:
            InputError: There is none of that name, or it is said to be two things.
        """
        part = self._target_part()
        found = model_of(part, self.endpoint, self.folder, self._named, self._table, trust_pickle=trust_pickle)
        if isinstance(found, Predictions) and not self.inputs.declares_nothing:
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
        pipeline = None if self.label_only is None else self.label_only.augmentations
        named += [] if pipeline is None else [pipeline.augment]
        is_code = (name for name in named if name and ":" in name and "://" not in name)
        return [name for name in dict.fromkeys(is_code) if not (self.folder / name).exists()]

    def querying(self) -> Querying:
        """Return how the model may be asked.

        Raises:
            InputError: A budget, price or range is none.
        """
        target = self._target_part()
        probes = () if self.label_only is None else self.label_only.probes(self._named)
        return Querying(
            access=target.access,
            inputs=self.inputs,
            budget=target.budget,
            price=target.price,
            views=target.views,
            label_only=probes,
        )

    @property
    def is_of_recipe(self) -> bool:
        """Whether it asks for the audit of a recipe: no model, and all records in one place."""
        return self.target is None

    def _target_part(self) -> TargetTable:
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

            return read_two_records(paths[0], paths[1], self.data.columns(), classes=self.data.classes)
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

            return read_records(path, self.data.columns(), classes=self.data.classes)
        if ":" not in name:
            raise InputError(f"Expected a file or module:name of records, found no file {name}; check the path.")
        self._refuse_columns("records of Python")
        return self._side(name)

    def _refuse_columns(self, what: str) -> None:
        """Refuse names of columns where there are none."""
        said, usual = vars(self.data), vars(DataTable())
        idle = [
            name
            for name, value in said.items()
            if name not in ("members", "nonmembers", "records") and value != usual[name]
        ]
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

    def training(self, *, bank: str | Path | None = None, executor: Executor | None = None) -> ShadowTraining | None:
        """Return how to train shadow models; None without a recipe.

        Args:
            bank: Where models are kept.
            executor: Who works.

        Raises:
            InputError: The recipe's name, or a number, is not what it should be.
        """
        part = self.recipe
        if part is None:
            if executor is not None:
                raise InputError("Expected a recipe in the audit file for shadow models, found none; add [recipe].")
            return None
        return ShadowTraining(
            SAME if part.train == SAME else self._recipe(part),
            n_models=part.n_shadows,
            within=None if part.within is None else seconds_of(part.within),
            bank=bank,
            executor=executor,
            stop_at_failure=part.stop_at_failure,
            share=part.share,
        )

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

    def _recipe(self, part: RecipeTable) -> Recipe:
        from vestige.training.function_recipe import FunctionRecipe

        found = self._named(part.train)
        if isinstance(found, Recipe):
            return found
        return FunctionRecipe(found, parameters=part.parameters, version=part.version)

    def _named(self, name: str) -> Any:
        from vestige.training.identity import named_object

        return named_object(name, self.folder)

    def as_tables(self, run: Path, fail_if: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return what it says, how an address is asked included; see `SharedTables.as_tables`."""
        tables = super().as_tables(run, fail_if)
        if self.target is not None and is_address(self.target.model):
            tables["endpoint"] = as_table(self.endpoint or EndpointTable())
        return tables


def read_audit_file(path: Path) -> AuditFile:
    """Read an audit file.

    Raises:
        InputError: There is no such file, it is no TOML, or it says something that is not known; naming the place.
    """
    return audit_file_of(read_toml(path), path.resolve().parent, path.name)


def audit_file_of(said: Mapping[str, Any], folder: Path, name: str) -> AuditFile:
    """Return the audit file that says this.

    Args:
        said: Its tables.
        folder: Where its paths and modules are looked for.
        name: What it is called in messages.

    Raises:
        InputError: It says something that is not known.
    """
    file = read_tables(AuditFile, said, folder, name)
    _refuse_halves(file, name)
    return file


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
    if not file.inputs.declares_nothing:
        raise InputError(
            f"{name}: Expected no [inputs] in the audit of a recipe, found some; let the recipe prepare them."
        )
