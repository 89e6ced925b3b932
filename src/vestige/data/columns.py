"""How a table's columns are named, and which column plays which part."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from vestige.core.errors import InputError
from vestige.core.labels import class_order
from vestige.core.messages import few
from vestige.data.classes import spellings

PROBABILITY = "prob_"
LOGIT = "logit_"
INPUT = "input_"
LOSS, PHI, GRADIENT_NORM, PREDICTED = "loss", "phi", "gradient_norm", "predicted"


@dataclass(frozen=True)
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
    groups: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    positive: tuple[str, str] | None = None
    label_base: int = 0

    def __post_init__(self) -> None:
        if self.label_base not in (0, 1):
            raise InputError(f"Expected 0 or 1 as label_base, found {self.label_base}.")


@dataclass(frozen=True)
class Roles:
    """Which column of a table plays which part; probabilities and logits by class, in the order of the classes."""

    label: str
    member: str | None
    id: str | None
    subject: str | None
    groups: tuple[str, ...]
    order: tuple[str, ...]
    inputs: tuple[str, ...]
    probabilities: Mapping[str, str]
    logits: Mapping[str, str]
    positive: str | None
    numbers: tuple[str, ...]
    predicted: str | None

    @property
    def numeric(self) -> list[str]:
        """Columns that must be numbers."""
        positive = [] if self.positive is None else [self.positive]
        return _once([*self.probabilities.values(), *self.logits.values(), *positive, *self.numbers])

    @property
    def text(self) -> list[str]:
        """All other columns that are needed."""
        single = (self.label, self.member, self.id, self.subject, self.predicted)
        named = [name for name in single if name is not None]
        numeric = set(self.numeric)
        return [n for n in _once([*named, *self.groups, *self.order, *self.inputs]) if n not in numeric]


def require_columns(names: Sequence[str], columns: Columns, *, member: bool) -> None:
    """Refuse a table that lacks a column the user named or that every table has.

    Raises:
        InputError: A column is missing; the message says what there is and which option names another.
    """
    for column, option in _wanted(columns, member=member):
        if column not in names:
            raise InputError(
                f"Expected a column {column}, found {few([n for n in names if n])}; name another with {option}."
            )


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
    probabilities: Mapping[str, str] = {}
    logits: Mapping[str, str] = {}
    if columns.positive is None:
        probabilities, logits = _by_prefix(names, PROBABILITY), _by_prefix(names, LOGIT)
        for found in (probabilities, logits):
            if len(found) == 1:
                raise InputError(_single_column(found, label_values()))
        _check_classes(probabilities, logits, classes)
        if not probabilities and not logits:
            probabilities = _by_label(names, columns, label_values(), classes)
    roles = Roles(
        label=columns.label,
        member=columns.member if columns.member in names else None,
        id=columns.id or _if_there("id", names),
        subject=columns.subject or _if_there("subject", names),
        groups=columns.groups,
        order=columns.order,
        inputs=columns.inputs or tuple(n for n in names if n.startswith(INPUT)),
        probabilities=probabilities,
        logits=logits,
        positive=None if columns.positive is None else columns.positive[0],
        numbers=tuple(n for n in (LOSS, PHI, GRADIENT_NORM) if n in names),
        predicted=_if_there(PREDICTED, names),
    )
    if not (roles.numeric or roles.predicted):
        raise InputError(
            f"Expected columns prob_<class> or logit_<class>, columns named after the labels, or loss, phi or "
            f"predicted, found {few([n for n in names if n])}; rename the outputs, or name one probability column "
            "with --positive COLUMN=CLASS."
        )
    return roles


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
    cure = (
        "give one probability column per class"
        if len(label_values) > 2
        else "name one of two classes as the labels spell it"
    )
    raise InputError(
        f"Expected {positive} and one other class for --positive COLUMN={positive}, found the classes {found}; {cure}."
    )


def _wanted(columns: Columns, *, member: bool) -> Iterator[tuple[str, str]]:
    yield columns.label, "--label"
    if member:
        yield columns.member, "--member"
    if columns.id is not None:
        yield columns.id, "--set data.id=COLUMN"
    if columns.subject is not None:
        yield columns.subject, "--subject"
    if columns.positive is not None:
        yield columns.positive[0], "--positive COLUMN=CLASS"
    for option, names in (
        ("--group", columns.groups),
        ("--order", columns.order),
        ("--set data.inputs", columns.inputs),
    ):
        for name in names:
            yield name, option


def _by_prefix(names: Sequence[str], prefix: str) -> dict[str, str]:
    found = {name.removeprefix(prefix) for name in names if name.startswith(prefix) and name != prefix}
    return {name: prefix + name for name in class_order(found)}


def _single_column(found: Mapping[str, str], label_values: Sequence[str]) -> str:
    ((name, column),) = found.items()
    return (
        f"Expected a column per class, found only {column} for the labels {few(label_values)}; name its class with "
        f"--positive {column}={name} if it is the one probability column of a binary classifier."
    )


def _check_classes(probabilities: Mapping[str, str], logits: Mapping[str, str], classes: Sequence[str] | None) -> None:
    if probabilities and logits and probabilities.keys() != logits.keys():
        raise InputError(
            f"Expected the same classes as probabilities and as logits, found {few(list(probabilities))} and "
            f"{few(list(logits))}; leave out one of the two."
        )
    found_classes = list(probabilities or logits)
    if classes is not None and found_classes and set(found_classes) != set(classes):
        raise InputError(
            f"Expected columns for the target's classes {few(list(classes))}, found {few(found_classes)}; "
            "give both tables the same class columns."
        )


def _by_label(
    names: Sequence[str], columns: Columns, label_values: Sequence[str], classes: Sequence[str] | None
) -> dict[str, str]:
    """Columns named exactly as the labels are, what R's predict(type = "prob") gives; none unless all are there."""
    taken = {name for name, _ in _wanted(columns, member=True)} | {"id", "subject"}
    free = set(names) - taken
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


def _if_there(name: str, names: Sequence[str]) -> str | None:
    return name if name in names else None


def _once(names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(names))
