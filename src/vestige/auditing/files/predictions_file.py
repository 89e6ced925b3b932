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
from vestige.data import Columns


@dataclass(frozen=True, kw_only=True)
class FilesTable(Schema):
    """`[target]` of an audit of predictions: the files that hold them.

    Attributes:
        file: The target's predictions: npz, CSV, Parquet, or npy of logits.
        members: A table of members alone, beside one of `nonmembers`.
        nonmembers: A table of nonmembers alone.
        labels: Labels of an npy; its membership is in the file that `member` in `[data]` names.
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
    labels: str | None = None
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
        target, inside = self._target()
        beside = self._shadow(target.classes)
        if inside is not None and beside is not None:
            raise InputError(
                f"Expected one shadow, found one inside {self.target.file} and one beside it; leave one out."
            )
        return target, inside or beside, self._references(target.classes)

    def _path(self, name: str) -> Path:
        return self.folder / name

    def _file(self) -> str | None:
        """What holds the target's answers; a file of reference models does so too."""
        part = self.target
        return part.reference if part.file is None and part.members is None else part.file

    def _target(self) -> tuple[Predictions, Predictions | None]:
        """The target's predictions, and the shadow's that are in the same file."""
        from vestige.data import read_npy, read_predictions, refuse_columns

        part, columns, file = self.target, self.data, self._file()
        if (part.members is None) != (part.nonmembers is None):
            raise InputError("Expected --members and --nonmembers together, found one of them.")
        if part.members is not None and file is not None:
            raise InputError(f"Expected either FILE or --members and --nonmembers, found both, with {file}.")
        if part.members is not None and part.nonmembers is not None:
            return self._two_tables(part.members, part.nonmembers), None
        if file is None:
            raise InputError("Expected predictions, found no FILE; name one, or --members and --nonmembers.")
        if part.labels is None:
            if part.probabilities:
                raise InputError("Expected --labels and --member files beside target.probabilities, found no --labels.")
            return read_predictions(self._path(file), columns)
        if columns.member == "member":
            raise InputError("Expected --member MEMBER.npy beside --labels LABELS.npy, found none.")
        arrays = replace(columns, member="member", id=None, subject=None)
        refuse_columns(arrays, "", "--labels, --member, data.id and --subject")
        return read_npy(
            self._path(file),
            self._path(part.labels),
            self._path(columns.member),
            probabilities=part.probabilities,
            label_base=columns.label_base,
            ids=None if columns.id is None else self._path(columns.id),
            subjects=None if columns.subject is None else self._path(columns.subject),
        ), None

    def _two_tables(self, members: str, nonmembers: str, classes: Any = None) -> Predictions:
        from vestige.data import read_two_tables

        return read_two_tables(self._path(members), self._path(nonmembers), self.data, classes=classes)

    def _shadow(self, classes: Any) -> Predictions | None:
        """The shadow's predictions that are in files of their own."""
        from vestige.data import read_shadow

        part = self.target
        if (part.shadow_members is None) != (part.shadow_nonmembers is None):
            raise InputError("Expected target.shadow_members and target.shadow_nonmembers together, found one of them.")
        if part.shadow_members is not None and part.shadow_nonmembers is not None:
            if part.shadow is not None:
                raise InputError(
                    "Expected either --shadow or target.shadow_members and target.shadow_nonmembers, found both."
                )
            return self._two_tables(part.shadow_members, part.shadow_nonmembers, classes)
        return None if part.shadow is None else read_shadow(self._path(part.shadow), self.data, classes=classes)

    def _references(self, classes: Any) -> References | None:
        """Reference models' answers, from a file of their own or from the one with the predictions."""
        from vestige.data import holds_references, read_references
        from vestige.data.formats.files import Format, format_of

        name, file = self.target.reference, self._file()
        if name is None and file is not None and format_of(self._path(file)) is Format.NPZ:
            name = file if holds_references(self._path(file)) else None
        if name is None:
            return None
        return read_references(self._path(name), label_base=self.data.label_base, classes=classes)


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
