"""A first audit.toml from a look at the files: what was seen stands in it, what was guessed is said to be."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from vestige.core.errors import InputError

_LABELS = ("label", "labels", "target", "class", "outcome", "diagnosis", "y")
_MEMBERS = ("member", "is_member", "in_train", "train", "membership")
_SUBJECTS = ("subject", "patient", "person", "user", "customer", "participant", "household")
_IDS = ("id", "record_id", "row_id", "uuid")
_TIMES = ("date", "time", "timestamp", "year", "admitted", "created")
_MOST_GROUPS = 10  # distinct values of a column that may name groups
_ROWS = 2_000  # looked at


@dataclass(frozen=True)
class Guess:
    """What a column is taken for.

    Attributes:
        name: Entry of `[data]`.
        column: The column; empty where none looks like it.
        others: Other columns that could be meant.
    """

    name: str
    column: str
    others: tuple[str, ...] = ()


def first_file(
    *,
    predictions: Path | None = None,
    model: str | None = None,
    members: Path | None = None,
    nonmembers: Path | None = None,
) -> str:
    """Return an audit.toml for some files, with every guess commented.

    Args:
        predictions: A table of predictions; or, instead of it, the three that follow.
        model: The model, as `[target] model` names it.
        members: Its training records.
        nonmembers: Records that it was not trained on.

    Raises:
        InputError: A file cannot be read, or members and nonmembers have other columns.
    """
    if predictions is not None:
        columns = _columns(predictions)
        text = [_HEAD, "[target]", f"file = {_text(str(predictions))}", ""]
        text += ["[data]", *_lines([_guess("label", columns, _LABELS), _guess("member", columns, _MEMBERS)])]
        text += [*_of_people(columns), "", _OPTIONS]
        return "\n".join(text)
    if model is None or members is None or nonmembers is None:
        raise InputError("Expected FILE, or --model with --members and --nonmembers, found only some of these.")
    columns, others = _columns(members), _columns(nonmembers)
    if columns is not None and others is not None and (missing := set(columns.columns) ^ set(others.columns)):
        raise InputError(
            f"Expected the same columns in {members.name} and {nonmembers.name}, found one of them alone to have "
            f"{', '.join(sorted(missing)[:5])}; members and nonmembers must be told apart by nothing but membership."
        )
    text = [
        _HEAD,
        "[target]",
        f"model = {_text(model)}",
        'access = "confidence"   # what outsiders get: or label, gradients',
    ]
    text += [
        "# budget = 100000       # the most queries that may be sent",
        "",
        "[data]",
        f"members = {_text(str(members))}",
    ]
    text += [
        f"nonmembers = {_text(str(nonmembers))}",
        *_lines([_guess("label", columns, _LABELS)]),
        *_of_people(columns),
        "",
    ]
    return "\n".join([*text, _RECIPE, _OPTIONS])


_HEAD = """# Written by vestige init from a look at your files: check every line, then run
#   vestige audit THIS_FILE --out RUN
# A line that begins with # is not read. Paths start from the folder of this file.
"""

_RECIPE = """# Shadow models make the audit much stronger: they are trained as your model was, on halves of the records.
# What it costs: vestige plan THIS_FILE
# [recipe]
# train = "same"          # clone the model; or module:name of fit(inputs, labels, *, seed) -> model
# n_shadows = 16          # 6 or more for the strongest attack
"""

_OPTIONS = """[options]
# name = "my model"       # what the report calls it
# headline_fpr = 0.01     # the false-positive rate the finding is about; by default the lowest that is resolved
seed = 0

# What must not be, judged at the end (exit code 3) and by vestige gate RUN THIS_FILE:
# [policy]
# fail_if = ["finding is LEAK SHOWN", "tpr_at_fpr_0.01.upper > 0.03"]
"""


def _columns(path: Path) -> "pd.DataFrame | None":
    """The beginning of a table; None of a file whose columns are not named here, such as a folder of images."""
    try:
        if path.suffix == ".parquet":
            import pyarrow.parquet as pq

            begin: pd.DataFrame = pq.ParquetFile(path).read_row_group(0).slice(0, _ROWS).to_pandas()
            return begin
        if path.name.endswith((".csv", ".csv.gz")):
            return pd.read_csv(path, nrows=_ROWS)
    except (OSError, ValueError) as error:
        raise InputError(
            f"Expected a table in {path.name}, found {' '.join(str(error).split())[:120]}; check it."
        ) from None
    if not path.exists():
        raise InputError(f"Expected a file at {path}, found none; check the path.")
    return None


def _guess(name: str, columns: "pd.DataFrame | None", known: Sequence[str]) -> Guess:
    """The column that is called as such columns are, whatever its case."""
    names = [] if columns is None else [str(column) for column in columns.columns]
    exact = [column for word in known for column in names if column.lower() == word]
    near = [c for c in names if c not in exact and any(c.lower().startswith(word) for word in known if len(word) > 2)]
    found = exact or near
    return Guess(name, found[0] if found else "", tuple(found[1:4]))


def _lines(guesses: Sequence[Guess]) -> list[str]:
    """Entries of `[data]`; what was not found is left to be filled in."""
    lines = []
    for guess in guesses:
        if not guess.column:
            lines.append(f'# {guess.name} = "..."    # no column looks like it: write its name, without the #')
            continue
        others = f"; or {', '.join(guess.others)}?" if guess.others else ""
        lines.append(f"{guess.name} = {_text(guess.column)}{'   # guessed by its name' + others if others else ''}")
    return lines


def _of_people(columns: "pd.DataFrame | None") -> list[str]:
    """Who a record is of, what orders records, and groups to report on: where a column looks like it."""
    if columns is None:
        return []
    lines = []
    for name, known, why in (
        ("id", _IDS, "one id per record"),
        ("subject", _SUBJECTS, "whose record it is: numbers are then about people"),
    ):
        if column := _guess(name, columns, known).column:
            lines.append(f"{name} = {_text(column)}   # {why}")
    if time := _guess("order", columns, _TIMES).column:
        lines.append(f"order = [{_text(time)}]   # members and nonmembers could differ in it")
    taken = {one.rstrip().split('"')[1] for one in lines}
    groups = [
        str(name)
        for name, values in columns.items()
        if str(name) not in taken
        and not str(name).lower().startswith(("prob_", "logit_", *_LABELS, *_MEMBERS))
        and values.dtype.kind not in "fc"
        and 2 <= values.nunique() <= _MOST_GROUPS
    ]
    return [*lines, f"# groups = {json.dumps(groups[:4], ensure_ascii=False)}   # to report on"] if groups else lines


def _text(value: str) -> str:
    """A TOML string."""
    return json.dumps(value, ensure_ascii=False).replace(chr(127), "\\u007f")
