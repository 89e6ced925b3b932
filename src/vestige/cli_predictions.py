"""The command line of audits of predictions: which files hold them."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vestige.core.errors import InputError

if TYPE_CHECKING:
    from vestige.core.predictions import Predictions
    from vestige.core.references import References


def positive_of(text: str | None) -> tuple[str, str] | None:
    """Return column and class of `COLUMN=CLASS`."""
    if text is None:
        return None
    column, separator, name = text.partition("=")
    if not (column and separator and name):
        raise InputError(f"Expected --positive COLUMN=CLASS, such as p_sick=sick, found {text!r}.")
    return column, name


def read_target(
    file: Path | None,
    members: Path | None,
    nonmembers: Path | None,
    labels: Path | None,
    member: str,
    probabilities: bool,
    columns: Any,
) -> "tuple[Predictions, Predictions | None]":
    """Read the target's predictions, and the shadow's that are in the same file."""
    from vestige.data import read_npy, read_predictions, read_two_tables, refuse_columns

    if (members is None) != (nonmembers is None):
        raise InputError("Expected --members and --nonmembers together, found one of them.")
    if members is not None and nonmembers is not None:
        if file is not None:
            raise InputError(f"Expected either FILE or --members and --nonmembers, found both, with {file}.")
        return read_two_tables(members, nonmembers, columns), None
    if file is None:
        raise InputError("Expected predictions, found no FILE; name one, or --members and --nonmembers.")
    if labels is None:
        if probabilities:
            raise InputError("Expected --labels and --member files beside --probabilities, found no --labels.")
        return read_predictions(file, columns)
    if member == "member":
        raise InputError("Expected --member MEMBER.npy beside --labels LABELS.npy, found none.")
    arrays = replace(columns, member="member", id=None, subject=None)
    refuse_columns(arrays, "", "--labels, --member, --id and --subject")
    return read_npy(
        file,
        labels,
        member,
        probabilities=probabilities,
        label_base=columns.label_base,
        ids=columns.id,
        subjects=columns.subject,
    ), None


def read_references_beside(
    file: Path | None, reference: Path | None, columns: Any, classes: Any
) -> "References | None":
    """Read reference models' answers, from a file of their own or from the one with the predictions."""
    from vestige.data import holds_references, read_references
    from vestige.data.formats.files import Format, format_of

    if reference is not None:
        return read_references(reference, label_base=columns.label_base, classes=classes)
    if file is not None and format_of(file) is Format.NPZ and holds_references(file):
        return read_references(file, label_base=columns.label_base, classes=classes)
    return None


def read_beside(
    shadow: Path | None, members: Path | None, nonmembers: Path | None, columns: Any, classes: Any
) -> "Predictions | None":
    """Read the shadow's predictions that are in files of their own."""
    from vestige.data import read_shadow, read_two_tables

    if (members is None) != (nonmembers is None):
        raise InputError("Expected --shadow-members and --shadow-nonmembers together, found one of them.")
    if members is not None and nonmembers is not None:
        if shadow is not None:
            raise InputError("Expected either --shadow or --shadow-members and --shadow-nonmembers, found both.")
        return read_two_tables(members, nonmembers, columns, classes=classes)
    return None if shadow is None else read_shadow(shadow, columns, classes=classes)
