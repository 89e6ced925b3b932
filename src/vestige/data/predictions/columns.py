"""How a table's columns are named, and which column plays which part."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from vestige.core.errors import InputError, refuse_if
from vestige.core.labels import class_order
from vestige.core.messages import few
from vestige.core.outputs import GradientNorms, Logits, Loss, Output, Phi, Probabilities
from vestige.data.formats.classes import spellings

INPUT, PREDICTED = "input_", "predicted"
PREFIXES: Mapping[str, type[Output]] = {"logit_": Logits, "prob_": Probabilities}
LISTS = {"logits": "logit_", **dict.fromkeys(("probs", "proba", "probabilities", "predictions"), "prob_")}
"""Columns that may hold a list per record, and what the names of a column per entry would begin with."""
NUMBERS: Mapping[str, type[Output]] = {"loss": Loss, "phi": Phi, "gradient_norm": GradientNorms}


@dataclass(frozen=True, kw_only=True)
class Columns:
    """How a table's columns are named.

    Attributes:
        label: True class.
        member: 1 where the model was trained on the record, 0 where it was not.
        id: One unique id per record; None: the column `id` if there is one, else row numbers.
        subject: Whose record it is; None: the column `subject` if there is one.
        groups: Subpopulations to report on.
        order: Columns of time or order to test as the cause of a difference.
        inputs: What the model was given; empty: every column that starts with `input_`.
        positive: The one probability column of a binary classifier, and the class it is the probability of.
        label_base: What integer labels count from, 0 or 1.

    Raises:
        InputError: `label_base` is neither 0 nor 1.
    """

    label: str = "label"
    member: str = "member"
    id: str | None = None
    subject: str | None = None
    groups: Sequence[str] = ()
    order: Sequence[str] = ()
    inputs: Sequence[str] = ()
    positive: tuple[str, str] | None = None
    label_base: int = 0

    def __post_init__(self) -> None:
        for name in ("groups", "order", "inputs"):
            value = getattr(self, name)
            object.__setattr__(self, name, (value,) if isinstance(value, str) else tuple(value))
        if self.label_base not in (0, 1):
            raise InputError(f"Expected 0 or 1 as label_base, found {self.label_base}.")

    def wanted(self, *, member: bool) -> dict[str, Sequence[str] | None]:
        """Return the columns that must be there, the one of members too or not, by how others are named."""
        return {
            "with --label": self.label,
            "with --member": self.member if member else None,
            "with --set data.id": self.id,
            "with --subject": self.subject,
            "with --positive COLUMN=CLASS": None if self.positive is None else self.positive[0],
            "with --group": self.groups,
            "with --order": self.order,
            "with --set data.inputs": self.inputs,
        }

    def with_those_in(self, names: Sequence[str]) -> "Columns":
        """Return these with the columns of ids, subjects and inputs that are there without being named."""
        return replace(
            self,
            id=self.id or ("id" if "id" in names else None),
            subject=self.subject or ("subject" if "subject" in names else None),
            inputs=self.inputs or tuple(n for n in names if n.startswith(INPUT)),
        )


@dataclass(frozen=True)
class Roles:
    """Which column of a table plays which part.

    Attributes:
        columns: As the user named them, with those of ids, subjects and inputs that are there without being named.
        by_class: Columns of logits and of probabilities by class, in the order of the classes.
        numeric: All columns that must be numbers.
        text: All other columns that are needed, the member column among them if there is one.
    """

    columns: Columns
    by_class: Mapping[type[Output], Mapping[str, str]]
    numeric: tuple[str, ...]
    text: tuple[str, ...]


def assign_roles(
    names: Sequence[str],
    columns: Columns,
    *,
    label_values: Callable[[], Sequence[str]],
    classes: Sequence[str] | None = None,
) -> Roles:
    """Find the part of every column.

    Args:
        names: The columns there are.
        columns: What the user said about them.
        label_values: Gives the labels that occur; called only if the columns do not name the classes.
        classes: Classes known from elsewhere, such as the target's for a shadow model.

    Returns:
        The parts.

    Raises:
        InputError: No column holds an output of the model, or it is unclear of which class.
    """
    by_class: dict[type[Output], Mapping[str, str]] = {}
    if columns.positive is not None:
        by_class = {Probabilities: {columns.positive[1]: columns.positive[0]}}
    else:
        by_class = {kind: found for prefix, kind in PREFIXES.items() if (found := _by_prefix(names, prefix))}
        for of_kind in by_class.values():
            if len(of_kind) == 1:
                ((name, column),) = of_kind.items()
                raise InputError(
                    f"Expected a column per class, found only {column} for the labels {few(label_values())}; name its "
                    f"class with --positive {column}={name} if it is the one probability column of a binary classifier."
                )
        _check_classes(by_class, classes)
        if not by_class and (by_name := _by_label(names, columns, label_values(), classes)):
            by_class = {Probabilities: by_name}
    numeric = [name for of_kind in by_class.values() for name in of_kind.values()]
    numeric += [name for name in NUMBERS if name in names]
    if not (numeric or PREDICTED in names):
        raise InputError(
            "Expected columns prob_<class> or logit_<class>, lists in a column logits or probs, columns named after "
            "the labels, or loss, phi or predicted, found "
            f"{few([n for n in names if n])}; rename the outputs (R changes names such as 'low risk' unless "
            "check.names = FALSE), or name one probability column with --positive COLUMN=CLASS."
        )
    columns = columns.with_those_in(names)
    single = [columns.label, columns.id, columns.subject, *(n for n in (columns.member, PREDICTED) if n in names)]
    text = dict.fromkeys([*single, *columns.groups, *columns.order, *columns.inputs])
    needed = [name for name in text if name is not None and name not in numeric]
    return Roles(columns, by_class, tuple(dict.fromkeys(numeric)), tuple(needed))


def positive_pair(positive: str, label_values: Sequence[str], classes: Sequence[str] | None = None) -> tuple[str, str]:
    """Return both classes of a binary classifier of which one is named.

    Raises:
        InputError: The other class cannot be told from the labels.
    """
    for spelled in [list(classes)] if classes is not None else spellings(label_values, 0):
        pair = class_order({*spelled, positive})
        if len(pair) == 2:
            return pair[0], pair[1]
    found = few(list(classes if classes is not None else label_values))
    cure = "name one of two classes as the labels spell it"
    if len(label_values) > 2:
        cure = "give one probability column per class"
    raise InputError(
        f"Expected {positive} and one other class for --positive COLUMN={positive}, found the classes {found}; {cure}."
    )


def _by_prefix(names: Sequence[str], prefix: str) -> dict[str, str]:
    classes = {name.removeprefix(prefix) for name in names if name.startswith(prefix) and name != prefix}
    return {name: prefix + name for name in class_order(classes)}


def _check_classes(by_class: Mapping[type[Output], Mapping[str, str]], classes: Sequence[str] | None) -> None:
    logits, probabilities = by_class.get(Logits, {}), by_class.get(Probabilities, {})
    names = list(probabilities or logits)
    refuse_if(
        (
            probabilities and logits and probabilities.keys() != logits.keys(),
            f"Expected the same classes as probabilities and as logits, found {few(list(probabilities))} and "
            f"{few(list(logits))}; leave out one of the two.",
        ),
        (
            classes is not None and names and set(names) != set(classes),
            f"Expected columns for the target's classes {few(list(classes or ()))}, found {few(names)}; give both "
            "tables the same class columns.",
        ),
    )


def _by_label(
    names: Sequence[str], columns: Columns, label_values: Sequence[str], classes: Sequence[str] | None
) -> dict[str, str]:
    """Columns named exactly as the labels are, what R's predict(type = "prob") gives; none unless all are there."""
    taken = {columns.label, columns.member, columns.id, columns.subject, "id", "subject"}
    free = set(names) - taken - {*columns.groups, *columns.order, *columns.inputs}
    if classes is not None:
        candidates = [list(classes)]
    elif columns.label_base and "0" in free:
        # Labels count from 1 and the columns from 0: all columns 0, 1, 2 ... are meant.
        candidates = [[str(i) for i in itertools.takewhile(lambda i: str(i) in free, itertools.count())]]
    else:
        candidates = list(spellings(label_values, 0))
    for candidate in candidates:
        if len(set(candidate)) >= 2 and free.issuperset(candidate):
            return {name: name for name in class_order(set(candidate))}
    return {}
