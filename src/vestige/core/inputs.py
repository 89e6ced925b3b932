"""`InputSpace`: what a model's inputs may be, and how records become what the model is given."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from enum import StrEnum
from typing import Annotated, Any

import numpy as np
from jaxtyping import Bool, Float

from vestige.core.columns import is_sparse
from vestige.core.errors import InputError
from vestige.core.input_values import (
    as_numbers,
    blocks,
    cast_to,
    check_values,
    codes_of,
    extremes,
    fitted_to,
    holds_numbers,
    is_bounded,
    numbers_of,
    of_column,
    projected,
)
from vestige.core.messages import brief, few
from vestige.core.schema import Schema, Written, set_choices

_Number = float | list[Any]
_Bound = _Number | dict[str, float]
_Value = str | int | float | bool


class Encoding(StrEnum):
    """How a model is given the category columns of a DataFrame."""

    AS_IS = "as_is"
    """As they are; the model encodes them itself, as a Pipeline does."""
    CODES = "codes"
    """The number of the category, 0..k-1; the DataFrame becomes an array."""
    ONE_HOT = "one_hot"
    """A column of 0 and 1 per category, in the place of the column; the DataFrame becomes an array."""


@dataclass(frozen=True)
class InputSpace(Schema):
    """What a model's inputs may be, declared once for every perturbation and every kind of model.

    Perturbations move within the range, in the units of the records; a target encodes, normalises and casts after
    that. Arrays are kept as tuples, so that equal spaces are equal and their text holds all of them.

    Attributes:
        low: Least value: a number, an array that fits one record's shape (-inf where there is no bound), or for a
            DataFrame a number per column; None for no bound.
        high: Largest value, in the same way.
        mean: Subtracted after encoding: a number, or an array that fits one record's shape, such as (3, 1, 1) for
            channels first.
        scale: Divided by after that.
        dtype: Name of the numpy type that the model is given in the end; the inputs' own if omitted, float32 if they
            are normalised.
        categories: Allowed values of category columns, in order; None among them allows that the value is missing.
        encoding: How the model is given the category columns.
        channels_first: Whether images, which are height x width x channel in the records, are given to the model as
            channel x height x width. Everything above is in the layout of the records.

    Raises:
        InputError: Something contradicts itself.

    Example:
        >>> pixels = InputSpace(low=0, high=255, scale=255)
        >>> pixels.prepared(np.array([[0, 51, 255]], dtype=np.uint8))
        array([[0. , 0.2, 1. ]], dtype=float32)
    """

    low: Annotated[Any, Written(_Bound)] = None
    high: Annotated[Any, Written(_Bound)] = None
    _: KW_ONLY
    mean: Annotated[Any, Written(_Number)] = None
    scale: Annotated[Any, Written(_Number)] = None
    dtype: str | None = None
    categories: Annotated[Mapping[str, tuple[Any, ...]], Written(dict[str, list[_Value]])] = field(default_factory=dict)
    encoding: Annotated[Encoding | str, Written(Encoding)] = Encoding.AS_IS
    channels_first: bool = False

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_choices(self, encoding=Encoding)
        for name in ("low", "high"):
            set_(self, name, _declared_bound(getattr(self, name), name))
        for name in ("mean", "scale"):
            set_(self, name, _declared_number(getattr(self, name), name))
        set_(self, "categories", {name: tuple(values) for name, values in self.categories.items()})
        _check_range_of(self.low, self.high)
        _check_categories_of(self.categories, self.low, self.high)
        if self.scale is not None and not np.all(self.scale):
            raise InputError("Expected a scale that is nowhere 0, found 0; give 1 where nothing is to be divided.")
        _check_dtype_of(self.dtype, is_normalised=self.is_normalised)

    @property
    def is_normalised(self) -> bool:
        """Whether a mean is subtracted or a scale divided by."""
        return self.mean is not None or self.scale is not None

    @property
    def declares_nothing(self) -> bool:
        """Whether every input is allowed, and given to the model as it is."""
        nothing = all(value is None for value in (self.low, self.high, self.mean, self.scale, self.dtype))
        return nothing and not self.categories and self.encoding is Encoding.AS_IS and not self.channels_first

    @property
    def changes_nothing(self) -> bool:
        """Whether inputs are given to the model as they are, if they are allowed."""
        is_cast = self.dtype is not None or self.is_normalised
        return not is_cast and self.encoding is Encoding.AS_IS and not self.channels_first

    def check(self, inputs: Any, first: int = 0) -> None:
        """Refuse inputs that are none of this space.

        Rounding is no fault: values may miss a range by a millionth of its width.

        Args:
            inputs: Records x anything: an array, or a DataFrame.
            first: Number of the first of these records, for messages.

        Raises:
            InputError: A value is out of its range or missing where one is declared, a category is unknown, or the
                inputs do not have the declared shape or columns.
        """
        if hasattr(inputs, "columns"):
            for name, column, low, high in self._columns(inputs):
                if name in self.categories:
                    codes_of(column, name, self.categories[name], first)
                elif is_bounded(low, high):
                    check_values(numbers_of(column), low, high, first, f"column {brief(str(name))}")
            return
        self._check_is_array(inputs)
        if self.low is not None or self.high is not None:
            for start, block in blocks(inputs):
                check_values(block, *self._record_range(inputs.shape[1:]), first + start)

    def clipped(self, inputs: Any) -> Any:
        """Return the nearest inputs within the range, of the type of these; missing values stay missing.

        Raises:
            InputError: The inputs do not have the declared shape or columns, or their type holds no value in a range.
        """
        if not hasattr(inputs, "columns"):
            self._check_is_array(inputs)
            return projected(inputs, *self._record_range(inputs.shape[1:]))
        moved = inputs.copy()
        for position, (name, column, low, high) in enumerate(self._columns(inputs)):
            if name not in self.categories and is_bounded(low, high):
                whole = projected(numbers_of(column), low, high, is_whole=column.dtype.kind in "biu")
                moved.isetitem(position, type(column)(whole, index=column.index, name=name).astype(column.dtype))
        return moved

    def prepared(self, inputs: Any) -> Any:
        """Return new inputs as the model is given them: encoded, normalised and cast.

        Raises:
            InputError: They cannot be encoded, do not have the declared shape, or do not fit the type.
        """
        if self.channels_first and (hasattr(inputs, "columns") or inputs.ndim != 4):
            raise InputError(
                "Expected images, record x height x width x channel, to put channels first, found inputs of shape "
                f"{inputs.shape}; leave channels_first out."
            )
        if hasattr(inputs, "columns"):
            if self.encoding is Encoding.AS_IS:
                return self._prepared_table(inputs)
            inputs = self._encoded(inputs)
        else:
            self._check_is_array(inputs)
        numbers = self._normalised(inputs)
        return np.ascontiguousarray(np.moveaxis(numbers, -1, 1)) if self.channels_first else numbers

    def bounds(self, inputs: Any) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
        """Return the least and the largest value of every feature; where none is declared, that of these inputs.

        Args:
            inputs: An array, or a DataFrame, which has a feature per column: NaN for those that are no numbers.

        Returns:
            Two arrays of one record's shape.

        Raises:
            InputError: A bound is not declared and there is no record.

        Source:
            Choquette-Choo et al. 2021 take the ranges of features from data.
        """
        found_low, found_high = extremes(as_numbers(inputs, self.categories))
        if hasattr(inputs, "columns"):
            ranges = [
                (low, high) if name not in self.categories and holds_numbers(column) else (math.inf, math.inf)
                for name, column, low, high in self._columns(inputs)
            ]
            low, high = np.array(ranges, dtype=np.float64).reshape(-1, 2).T
        else:
            low, high = self._record_range(inputs.shape[1:])
        low, high = np.where(np.isfinite(low), low, found_low), np.where(np.isfinite(high), high, found_high)
        if not len(inputs) and not (np.isfinite(low).all() and np.isfinite(high).all()):
            raise InputError("Expected a record to take the ranges of features from, found none; declare low and high.")
        return low, high

    def is_binary(self, inputs: Any) -> Bool[np.ndarray, "..."]:
        """Return for every feature, of one record's shape or per column, whether only 0 and 1 occur."""
        values = as_numbers(inputs, self.categories)
        is_binary = np.full(values.shape[1:], len(values) > 0)
        for _, block in blocks(values):
            is_binary &= ((block == 0) | (block == 1)).all(axis=0)
        return is_binary

    def _normalised(self, inputs: np.ndarray) -> np.ndarray:
        if not self.is_normalised:
            return np.array(inputs) if self.dtype is None else cast_to(inputs, np.dtype(self.dtype))
        wanted = np.dtype(np.float32 if self.dtype is None else self.dtype)
        moved = inputs.astype(np.result_type(inputs.dtype, np.float32, wanted))
        shape = inputs.shape[1:]
        if self.mean is not None:
            moved -= fitted_to(self.mean, shape, "mean").astype(moved.dtype)
        if self.scale is not None:
            moved /= fitted_to(self.scale, shape, "scale").astype(moved.dtype)
        return cast_to(moved, wanted)

    def _check_is_array(self, inputs: Any) -> None:
        if is_sparse(inputs) and not self.declares_nothing:
            raise InputError("Expected a dense array for declared inputs, found a sparse matrix; declare nothing.")
        named = [k for k in ("low", "high") if isinstance(getattr(self, k), Mapping)]
        named += ["categories"] if self.categories else []
        named += ["encoding"] if self.encoding is not Encoding.AS_IS else []
        if named:
            raise InputError(
                f"Expected a DataFrame, for which {' and '.join(named)} was declared, found an array; "
                "give records with columns, or declare ranges as arrays."
            )
        if inputs.dtype.kind not in "biuf" and not self.declares_nothing:
            raise InputError(f"Expected an array of numbers, found {inputs.dtype}; give a DataFrame if there is text.")

    def _record_range(self, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        low = fitted_to(-math.inf if self.low is None else self.low, shape, "low")
        return low, fitted_to(math.inf if self.high is None else self.high, shape, "high")

    def _columns(self, table: Any) -> Iterator[tuple[Any, Any, float, float]]:
        """Name, values, least and largest value of every column, in order."""
        named = [
            name for values in (self.low, self.high, self.categories) if isinstance(values, dict) for name in values
        ]
        absent = [str(name) for name in dict.fromkeys(named) if name not in table.columns]
        if absent:
            raise InputError(f"Expected the columns that are declared, found no column {few(absent, 5)}; rename them.")
        if isinstance(self.low, tuple) or isinstance(self.high, tuple):
            raise InputError("Expected low and high as numbers per column for a DataFrame, found an array; name them.")
        for position, name in enumerate(table.columns):
            column = table.iloc[:, position]
            low, high = of_column(self.low, name, -math.inf), of_column(self.high, name, math.inf)
            if name not in self.categories and not holds_numbers(column):
                if name in named or self.encoding is not Encoding.AS_IS:
                    raise InputError(
                        f"Expected numbers in column {brief(str(name))}, found {column.dtype}; declare its categories."
                    )
                low, high = -math.inf, math.inf
            yield name, column, low, high

    def _prepared_table(self, table: Any) -> Any:
        if self.is_normalised:
            raise InputError(
                "Expected an array to normalise, found a DataFrame; declare the encoding codes or one_hot, which makes "
                "an array of it."
            )
        copy = table.copy()
        for position, (name, column, _, _) in enumerate(self._columns(table)):
            if self.dtype is not None and name not in self.categories and holds_numbers(column):
                cast = cast_to(numbers_of(column), np.dtype(self.dtype))
                copy.isetitem(position, type(column)(cast, index=column.index, name=name))
        return copy

    def _encoded(self, table: Any) -> np.ndarray:
        parts = [np.empty((len(table), 0))]
        for name, column, _, _ in self._columns(table):
            if name not in self.categories:
                parts.append(numbers_of(column).astype(np.float64)[:, None])
                continue
            codes = codes_of(column, name, self.categories[name], 0)[:, None]
            one_hot = self.encoding is Encoding.ONE_HOT
            parts.append(codes == np.arange(len(self.categories[name])) if one_hot else codes)
        return np.hstack(parts)


# ------------------------------------------------------------------------------------- what is declared


def _declared_number(value: Any, name: str, unbounded: float = math.nan) -> Any:
    if value is None:
        return None
    try:
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"Expected a number or an array of numbers as {name}, found {brief(repr(value))}.") from None
    if not (np.isfinite(numbers) | (numbers == unbounded)).all():
        raise InputError(f"Expected finite numbers as {name}, found NaN or infinity; leave out what is not known.")
    return _as_tuples(numbers.tolist())


def _declared_bound(value: Any, name: str) -> Any:
    unbounded = -math.inf if name == "low" else math.inf
    if isinstance(value, Mapping):
        numbers = {key: _declared_number(v, f"{name} of column {key}", unbounded) for key, v in value.items()}
        wrong = [str(key) for key, number in numbers.items() if not isinstance(number, float)]
        if wrong:
            raise InputError(f"Expected one number as {name} of column {few(wrong, 5)}, found none or several.")
        return numbers
    return _declared_number(value, name, unbounded)


def _as_tuples(value: Any) -> Any:
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value


def _check_range_of(low: Any, high: Any) -> None:
    pairs: dict[str, tuple[Any, Any]] = {"": (low, high)}
    if isinstance(low, Mapping) or isinstance(high, Mapping):
        if isinstance(low, tuple) or isinstance(high, tuple):
            raise InputError("Expected low and high of the same kind, found an array and a mapping; give two mappings.")
        names = dict.fromkeys(name for side in (low, high) if isinstance(side, Mapping) for name in side)
        pairs = {
            f" of column {name}": (of_column(low, name, -math.inf), of_column(high, name, math.inf)) for name in names
        }
    for where, (least, most) in pairs.items():
        if least is None or most is None:
            continue
        try:
            is_upside_down = bool(np.any(np.greater(least, most)))
        except ValueError:
            shapes = f"{np.shape(least)} and {np.shape(most)}"
            raise InputError(f"Expected low and high that fit one record, found shapes {shapes}.") from None
        if is_upside_down:
            values = f"{brief(str(least))} and {brief(str(most))}"
            raise InputError(f"Expected low{where} not above high, found {values}; exchange them.")


def _check_categories_of(categories: Mapping[str, tuple[Any, ...]], low: Any, high: Any) -> None:
    for name, values in categories.items():
        try:
            n_distinct = len(set(values))
        except TypeError:
            raise InputError(f"Expected names or numbers as categories of column {name}, found lists.") from None
        if not values or n_distinct != len(values):
            raise InputError(f"Expected distinct categories of column {name}, found {brief(repr(values))}.")
        if any(isinstance(side, Mapping) and name in side for side in (low, high)):
            raise InputError(f"Expected a range or categories of column {name}, found both; leave one out.")


def _check_dtype_of(dtype: str | None, *, is_normalised: bool) -> None:
    if dtype is None:
        return
    try:
        kind = np.dtype(dtype).kind
    except TypeError:
        kind = "O"
    if kind not in "biuf":
        raise InputError(f"Expected a numpy type of numbers such as float32 as dtype, found {brief(str(dtype))}.")
    if is_normalised and kind != "f":
        raise InputError(f"Expected a type of fractions for normalised inputs, found {dtype}; declare float32.")
