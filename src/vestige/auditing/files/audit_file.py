"""`audit.toml`: an audit as a file. Everything in it is checked before anything is trained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vestige.auditing.files.defence_file import DefenceTable
from vestige.auditing.files.label_only_file import LabelOnlyTable
from vestige.auditing.files.tables import SharedTables, as_table, read_tables, read_toml
from vestige.auditing.files.target_file import DrawsTable, EndpointTable, TargetTable, called, is_address, model_of
from vestige.auditing.files.why_file import WhyTable
from vestige.auditing.querying.settings import Querying
from vestige.auditing.shadows.reference_training import Beginning, ReferenceTraining
from vestige.auditing.shadows.settings import SAME, ShadowTraining
from vestige.core.answer_defence import AnswerDefence
from vestige.core.errors import InputError, refuse_if
from vestige.core.inputs import InputSpace
from vestige.core.jobs import Executor
from vestige.core.messages import seconds_of
from vestige.core.predictions import Predictions
from vestige.core.progress import Progress
from vestige.core.recipe import Recipe
from vestige.core.records import Records
from vestige.core.references import References
from vestige.core.result import AuditResult
from vestige.core.schema import Schema
from vestige.core.views import PipelineDraws
from vestige.data import Columns, RecordColumns, read_predictions, read_references
from vestige.data.records.images import read_image_folders
from vestige.data.records.reading import read_alike
from vestige.training.function_recipe import FunctionRecipe
from vestige.training.identity import named_object
from vestige.training.imitation import Imitation

if TYPE_CHECKING:
    from vestige.auditing.risk_causes.retraining import Retraining
    from vestige.auditing.risk_causes.why import RiskCauses

_FILES, _FOLDERS, _OBJECTS = "files", "folders of images", "records of Python"  # what holds records
_SIDES = ("members", "nonmembers", "records", "pool")


@dataclass(frozen=True, kw_only=True)
class DataTable(RecordColumns, Schema):
    """`[data]`: members and nonmembers, or all records; and the names of the columns of a file, as `RecordColumns`.

    `label_files` are npy files of the labels of each, where the records are npy files of their inputs. `pool` is the
    third pool of a comparison of defences: the defender's own records, none of them audited.
    """

    members: str | None = None
    nonmembers: str | None = None
    records: str | None = None
    classes: list[str | int] | None = None
    label_files: str | list[str] | None = None
    pool: str | None = None


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
    checkpoints: list[int] = field(default_factory=list)
    epoch: int | None = None
    records: str | None = None
    n_sources: int | None = None
    n_asked_about: int | None = None
    imitators: Imitation | None = None
    drawn_alone: bool = False
    earlier: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ReferenceTable(Schema):
    """`[reference]`: reference models that are there."""

    file: str


@dataclass(frozen=True, kw_only=True)
class ReferencesTable(Schema):
    """`[references]`: reference models that are trained on the adversary's own records, see `ReferenceTraining`.

    `train` and `others` are `module:name` of recipes; `records` and `validation` name records as `[data]` does.
    """

    train: str
    records: str
    validation: str | None = None
    by: Beginning = Beginning.SCRATCH
    n_models: int = 1
    share: float = 1.0
    others: list[str] = field(default_factory=list)


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
        references: Reference models that are trained for the audit, from scratch or by forgetting; none if omitted.
        label_only: What label-only attacks ask; nothing if omitted.
        defence: Defences to compare; an audit has none.
        why_at_risk: What goes with the risk of records, for the owner of the run alone; nothing if omitted.
    """

    target: TargetTable | None = None
    data: DataTable
    inputs: InputSpace = field(default_factory=InputSpace)
    endpoint: EndpointTable | None = None
    recipe: RecipeTable | None = None
    reference: ReferenceTable | None = None
    references: ReferencesTable | None = None
    label_only: LabelOnlyTable | None = None
    defence: list[DefenceTable] = field(default_factory=list)
    why_at_risk: WhyTable | None = None

    def model(self, *, trust_pickle: bool = False) -> Any:
        """Return the target: an object of Python, a model source, or predictions.

        Raises:
            InputError: There is no such model, or two contradicting entries name it.
        """
        part = self._target_part()
        model = model_of(part, self.endpoint, self.folder, self._named, self._table, trust_pickle=trust_pickle)
        if isinstance(model, Predictions) and not self.inputs.declares_nothing:
            name = Path(part.model).name
            raise InputError(
                f"Expected no [inputs] for a table of predictions ({name}), which is not asked, found some; leave them "
                "out."
            )
        return model

    def modules(self) -> list[str]:
        """Return what is named as `module:name`: code of the user's, which runs once it is asked for."""
        target, data = self.target, self.data
        named = [] if target is None else [target.model, target.factory]
        named += [data.members, data.nonmembers, data.records, *self.attacks.use]
        named += [] if self.recipe is None else [self.recipe.train, self.recipe.records, *self.recipe.earlier]
        part = self.references
        named += [] if part is None else [part.train, *part.others, part.records, part.validation]
        pipeline = None if self.label_only is None else self.label_only.augmentations
        named += [] if pipeline is None else [pipeline.augment]
        draws = None if target is None else target.views
        named += [draws.augment] if isinstance(draws, DrawsTable) else []
        front = None if target is None else target.defence
        named += [] if front is None else [front.use, front.nonmembers, front.shadow_nonmembers]
        named += [data.pool, *(defence.use for defence in self.defence)]
        is_code = (name for name in named if name and ":" in name and "://" not in name)
        return [name for name in dict.fromkeys(is_code) if not (self.folder / name).exists()]

    def querying(self) -> Querying:
        """Return how the model may be asked.

        Raises:
            InputError: A budget, price or range is none, or the defence is none of answers or does not go with the
                access.
        """
        target = self._target_part()
        front = target.defence
        probes = () if self.label_only is None else self.label_only.probes(self._named)
        views = target.views
        drawn = PipelineDraws(self._named(views.augment), views.n_draws) if isinstance(views, DrawsTable) else views
        return Querying(
            access=target.access,
            inputs=self.inputs,
            budget=target.budget,
            price=target.price,
            views=drawn,
            label_only=probes,
            defence=None if front is None else front.defended(self._named, lambda name: self._records(name)[0]),
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
        members, nonmembers = self._records(self.data.members, self.data.nonmembers)
        return members, nonmembers

    def all_records(self) -> Records:
        """Return the records of the audit of a recipe.

        Raises:
            InputError: A file or function does not give records.
        """
        return self._records(self.data.records)[0]

    def pool(self) -> Records | None:
        """Return the third pool of a comparison of defences; None if there is none.

        Raises:
            InputError: A file or function does not give records.
        """
        return None if self.data.pool is None else self._records(self.data.pool)[0]

    def defences(self) -> dict[str, Recipe | AnswerDefence]:
        """Return the defences to compare, by name.

        Raises:
            InputError: Two have one name, or one is neither a recipe nor a defence of answers.
        """
        found: dict[str, Recipe | AnswerDefence] = {}
        for part in self.defence:
            if part.name in found:
                raise InputError(
                    f"Expected one defence {part.name}, found two of that name; give each table [[defence]] its own."
                )
            found[part.name] = part.made(self._named, part.name)
        return found

    def _records(self, *names: str | None) -> Sequence[Records]:
        """The records of each name: all folders of images, all files, or all `module:name`."""
        places = {name or "": self.folder / (name or "") for name in names}
        kinds = {name: _kind_of(name, path) for name, path in places.items()}
        if len(set(kinds.values())) > 1:
            found = " and ".join(f"{name} ({kind})" for name, kind in kinds.items())
            raise InputError(
                f"Expected members and nonmembers of one kind, found {found}; give two folders of images, two files or "
                "two objects of Python."
            )
        paths, kind = [places[name or ""] for name in names], next(iter(kinds.values()))
        if kind == _FILES:
            missing = [name for name, path in places.items() if not path.exists()]
            if missing:
                raise InputError(
                    f"Expected a file or module:name of records, found no file {missing[0]}; check the path."
                )
            files = self.data.label_files or []
            labels = [self.folder / path for path in ([files] if isinstance(files, str) else files)]
            return read_alike(paths, self.data, self.data.classes, labels)
        said, usual = vars(self.data), vars(DataTable())
        idle = [name for name in said if name not in _SIDES and said[name] != usual[name]]
        if idle:
            raise InputError(f"Expected no {idle[0]} in [data] for {kind}, found one; leave it out.")
        return read_image_folders(paths) if kind == _FOLDERS else [self._of_python(name) for name in names if name]

    def _of_python(self, name: str) -> Records:
        value = self._named(name)
        records = value if isinstance(value, Records) else called(value, name)
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
        if part is None and executor is not None:
            raise InputError("Expected a recipe in the audit file for shadow models, found none; add [recipe].")
        if part is None:
            return None
        return ShadowTraining(
            SAME if part.train == SAME else self._recipe(part),
            n_models=part.n_shadows,
            within=None if part.within is None else seconds_of(part.within),
            bank=bank,
            executor=executor,
            stop_at_failure=part.stop_at_failure,
            share=part.share,
            checkpoints=part.checkpoints,
            epoch=part.epoch,
            records=None if part.records is None else self._records(part.records)[0],
            n_sources=part.n_sources,
            n_asked_about=part.n_asked_about,
            imitators=part.imitators,
            drawn_alone=part.drawn_alone,
            earlier=[self._named(name) for name in part.earlier],
        )

    def retraining(self, bank: str | Path | None) -> "Retraining | None":
        """Return how models are trained again without a record each; None if none is."""
        from vestige.auditing.risk_causes.retraining import Retraining

        part, why = self.recipe, self.why_at_risk
        if part is None or why is None or not why.n_retrained:
            return None
        return Retraining(self._recipe(part), seed=self.options.seed, n_records=why.n_retrained, bank=bank)

    def why(
        self, result: AuditResult, progress: Progress, bank: str | Path | None = None, trust_pickle: bool = False
    ) -> "RiskCauses | None":
        """Look for what goes with the risk of a finished audit's records; None if that is not asked for.

        Raises:
            InputError, UnsupportedModelError, TrainingError, ArtefactError, OutputError: As `why_at_risk`.
        """
        from vestige.auditing.risk_causes.why import why_at_risk

        asked = self.why_at_risk
        if asked is None:
            return None
        return why_at_risk(
            result,
            *((self.all_records(),) if self.is_of_recipe else self.records()),
            model=self.model(trust_pickle=trust_pickle) if asked.picture else None,
            retraining=self.retraining(bank),
            seed=self.options.seed,
            progress=progress,
        )

    def reference_models(self, classes: Sequence[str] | None) -> References | ReferenceTraining | None:
        """Return the reference models that it names, or how they are trained; None if it says nothing of them.

        Args:
            classes: Class names of the records.

        Raises:
            InputError: It is no such file or folder, names no recipe or records, or has both tables.
        """
        part = self.references
        if part is None:
            stored = self.reference
            return None if stored is None else read_references(self.folder / stored.file, classes=classes)
        if self.reference is not None:
            raise InputError("Expected [reference] or [references], found both; leave one out.")
        names = [part.records] if part.validation is None else [part.records, part.validation]
        records = self._records(*names)
        recipe, *others = (self._recipe_named(name) for name in (part.train, *part.others))
        return ReferenceTraining(
            recipe=recipe,
            records=records[0],
            validation=None if part.validation is None else records[1],
            by=part.by,
            n_models=part.n_models,
            share=part.share,
            others=others,
        )

    def _recipe_named(self, name: str) -> Recipe:
        recipe = self._named(name)
        if not isinstance(recipe, Recipe):
            raise InputError(f"Expected a recipe from {name}, found {type(recipe).__name__}; give such as TorchRecipe.")
        return recipe

    def _recipe(self, part: RecipeTable) -> Recipe:
        recipe = self._named(part.train)
        if isinstance(recipe, Recipe):
            return recipe
        return FunctionRecipe(recipe, parameters=part.parameters, version=part.version)

    def _named(self, name: str) -> Any:
        return named_object(name, self.folder)

    def as_tables(self, run: Path, fail_if: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return what it says, how an address is asked included; see `SharedTables.as_tables`."""
        tables = super().as_tables(run, fail_if)
        del tables["defence"]  # an audit has none
        if self.target is not None and is_address(self.target.model):
            tables["endpoint"] = as_table(self.endpoint or EndpointTable())
        return tables


def _kind_of(name: str, path: Path) -> str:
    if path.is_dir():
        return _FOLDERS
    return _OBJECTS if ":" in name and not path.exists() else _FILES


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
    data, of_model = file.data, file.target is not None
    sides = [side for side in ("members", "nonmembers") if getattr(data, side) is not None]
    lacking = "members" if "members" not in sides else "nonmembers"
    needless = [part for part in ("reference", "references", "endpoint") if getattr(file, part) is not None]
    problems = (
        (
            of_model and data.records is not None,
            "Expected members and nonmembers in [data] beside [target], found records, which are for the audit of a "
            "recipe; leave [target] out, or name both sides.",
        ),
        (
            of_model and len(sides) < 2,
            f"Expected an entry data.{lacking}, found none; add it. Where there are none, audit the recipe: leave "
            "[target] out, and name all records as records in [data].",
        ),
        (
            not of_model and len(sides) == 2 and data.records is None,
            "Expected an entry target, found none; add it: a table that names the model.",
        ),
        (
            not of_model and (data.records is None or sides),
            "Expected [target] with members and nonmembers in [data], or records in [data] for the audit of a recipe, "
            f"found {', '.join(sides) if sides else 'none of these'} without [target]; add what is missing.",
        ),
        (
            not of_model and file.recipe is None,
            "Expected [recipe] for the audit of a recipe, found none; say how models are trained.",
        ),
        (
            not of_model and needless,
            f"Expected no [{''.join(needless[:1])}] in the audit of a recipe, found one; leave it out.",
        ),
        (
            file.why_at_risk is not None
            and file.why_at_risk.n_retrained > 0
            and (file.recipe is None or file.recipe.train == SAME),
            "Expected [recipe] with train = module:name for n_retrained of [why_at_risk], found none; name the recipe "
            "that the model was trained by, or leave n_retrained out.",
        ),
        (
            file.why_at_risk is not None and file.why_at_risk.picture and not of_model,
            "Expected [target] for the picture of [why_at_risk], found the audit of a recipe; leave picture out.",
        ),
        (
            not of_model and not file.inputs.declares_nothing,
            "Expected no [inputs] in the audit of a recipe, found some; let the recipe prepare them.",
        ),
    )
    refuse_if(*((is_there, f"{name}: {message}") for is_there, message in problems))
