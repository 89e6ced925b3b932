"""An audit of predictions as tables: which files hold them, and what their columns are called."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from vestige.auditing.files.tables import SharedTables, read_tables
from vestige.core.errors import InputError
from vestige.core.predictions import Predictions
from vestige.core.references import References
from vestige.core.schema import Schema
from vestige.data import (
    Columns,
    holds_models,
    read_model_folder,
    read_npy,
    read_predictions,
    read_references,
    read_shadow,
    read_two_tables,
    references_beside,
    refuse_columns,
)
from vestige.data.predictions.arrays import read_two_npy


@dataclass(frozen=True, kw_only=True)
class FilesTable(Schema):
    """`[target]` of an audit of predictions: the files that hold them.

    Attributes:
        file: The target's predictions: npz, CSV, Parquet, or npy of logits.
        members: A table of members alone, beside one of `nonmembers`.
        nonmembers: A table of nonmembers alone.
        labels: Labels of an npy; its membership is in the file that `member` in `[data]` names. Or two, of npy files of
            members and of nonmembers.
        probabilities: Whether an npy holds probabilities.
        shadow: Predictions of one model trained alike on other records.
        shadow_members: A table of the shadow's members alone, beside one of `shadow_nonmembers`.
        shadow_nonmembers: A table of its nonmembers alone.
        reference: Answers of many models about the same records.
        demo: Predictions that are made for the demonstration, instead of files.
    """

    file: str | None = None
    members: str | None = None
    nonmembers: str | None = None
    labels: str | list[str] | None = None
    probabilities: bool = False
    shadow: str | None = None
    shadow_members: str | None = None
    shadow_nonmembers: str | None = None
    reference: str | None = None
    demo: str | None = None


@dataclass(frozen=True)
class ColumnsTable(Columns, Schema):
    """`[data]` of an audit of predictions: what the columns of its tables are called, as in `Columns`."""


@dataclass(frozen=True, kw_only=True)
class PredictionsFile(SharedTables):
    """What an audit file says of the audit of predictions.

    Attributes:
        target: The files that hold predictions.
        data: What the columns of tables are called.
    """

    target: FilesTable
    data: ColumnsTable = field(default_factory=ColumnsTable)

    def predictions(self) -> tuple[Predictions, Predictions | None, References | None]:
        """Read the target's predictions, those of the shadow model and reference models' answers.

        Raises:
            InputError: A file is missing or cannot be audited, or two say the same thing.
        """
        if self.target.demo is not None:
            from vestige.auditing.demo import demo_predictions

            return *demo_predictions(), None
        file = self._file()
        if file is not None and holds_models(self.folder / file):
            return self._of_models(self.folder / file)
        target, inside = self._target()
        beside = self._shadow(target.classes)
        if inside is not None and beside is not None:
            raise InputError(
                f"Expected one shadow, found one inside {self.target.file} and one beside it; leave one out."
            )
        return target, inside or beside, self._references(target.classes)

    def _of_models(self, place: Path) -> tuple[Predictions, None, References]:
        """Many models in a folder: one is the target, the others are references."""
        said = {name for name, value in vars(self.target).items() if value != getattr(FilesTable(), name)}
        if idle := sorted(said - {"file", "reference", "labels"}):
            raise InputError(f"Expected no target.{idle[0]} beside {place.name}, a folder of models, found one.")
        labels = None if self.target.labels is None else self._labels(place.name)
        refuse_columns(self.data, f"{place.name}: ", "keep.npy, memberships.npy and labels.npy")
        target, references = read_model_folder(place, labels, label_base=self.data.label_base)
        return target, None, references

    def _labels(self, beside: str) -> Path:
        """The one file of labels."""
        labels = self.target.labels
        if not isinstance(labels, str):
            raise InputError(f"Expected one --labels beside {beside}, found several; leave out all but one.")
        return self.folder / labels

    def _file(self) -> str | None:
        """What holds the target's answers; a file of reference models does so too."""
        part = self.target
        return part.reference if part.file is None and part.members is None else part.file

    def _target(self) -> tuple[Predictions, Predictions | None]:
        """The target's predictions, and the shadow's that are in the same file."""
        part, columns, file = self.target, self.data, self._file()
        if part.members is not None and file is not None:
            raise InputError(f"Expected either FILE or --members and --nonmembers, found both, with {file}.")
        if part.members is not None and part.nonmembers is not None and part.labels is not None:
            labels = [part.labels] if isinstance(part.labels, str) else part.labels
            paths, own = ([self.folder / name for name in names] for names in ((part.members, part.nonmembers), labels))
            return read_two_npy(paths, own, probabilities=part.probabilities, label_base=columns.label_base), None
        tables = self._two_tables(part.members, part.nonmembers, "--members and --nonmembers")
        if tables is not None:
            return tables, None
        if file is None:
            raise InputError("Expected predictions, found no FILE; name one, or --members and --nonmembers.")
        if part.labels is None:
            if part.probabilities:
                raise InputError("Expected --labels and --member files beside target.probabilities, found no --labels.")
            return read_predictions(self.folder / file, columns)
        if columns.member == "member":
            raise InputError("Expected --member MEMBER.npy beside --labels LABELS.npy, found none.")
        arrays = replace(columns, member="member", id=None, subject=None)
        refuse_columns(arrays, "", "--labels, --member, data.id and --subject")
        return read_npy(
            self.folder / file,
            self._labels(file),
            self.folder / columns.member,
            probabilities=part.probabilities,
            label_base=columns.label_base,
            ids=None if columns.id is None else self.folder / columns.id,
            subjects=None if columns.subject is None else self.folder / columns.subject,
        ), None

    def _two_tables(
        self, members: str | None, nonmembers: str | None, names: str, classes: Any = None
    ) -> Predictions | None:
        """Predictions of a table of members and one of nonmembers; None if neither is named."""
        if members is not None and nonmembers is not None:
            return read_two_tables(self.folder / members, self.folder / nonmembers, self.data, classes=classes)
        if members is not None or nonmembers is not None:
            raise InputError(f"Expected {names} together, found one of them.")
        return None

    def _shadow(self, classes: Any) -> Predictions | None:
        """The shadow's predictions that are in files of their own."""
        part, names = self.target, "target.shadow_members and target.shadow_nonmembers"
        tables = self._two_tables(part.shadow_members, part.shadow_nonmembers, names, classes)
        if part.shadow is None:
            return tables
        if tables is not None:
            raise InputError(f"Expected either --shadow or {names}, found both.")
        return read_shadow(self.folder / part.shadow, self.data, classes=classes)

    def _references(self, classes: Any) -> References | None:
        """Reference models' answers, from a file of their own or from the one with the predictions."""
        if self.target.reference is not None:
            path = self.folder / self.target.reference
            return read_references(path, label_base=self.data.label_base, classes=classes)
        path = self.folder / (self._file() or "")
        return references_beside(path, self.data, classes) if path.is_file() else None


def is_of_predictions(said: Mapping[str, Any]) -> bool:
    """Whether tables ask for an audit of predictions, instead of a model or a recipe."""
    target = said.get("target")
    names = {entry.name for entry in fields(FilesTable)}
    return "columns" in said or (isinstance(target, Mapping) and "model" not in target and bool(names & set(target)))


def predictions_file_of(said: Mapping[str, Any], folder: Path, name: str) -> PredictionsFile:
    """Return the audit of predictions that tables describe.

    Args:
        said: The tables. Runs of before wrote `[columns]` for `[data]`, with "" for what was not named.
        folder: What paths are relative to.
        name: What the tables are called in messages.

    Raises:
        InputError: They say something that is not known.
    """
    tables = dict(said)
    columns = tables.pop("columns", None)
    if isinstance(columns, Mapping):
        tables["data"] = {name: value for name, value in columns.items() if value != ""} | tables.get("data", {})
    return read_tables(PredictionsFile, tables, folder, name)
