"""What makes a frozen dataclass a table of an audit file, or a part of the report: it is declared once, for all."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from vestige.core.errors import InputError


class Schema:
    """A dataclass that pydantic reads and writes as it is: nothing unknown in it, and no value of another type.

    Pydantic looks for this attribute where a file is read or written; nothing here imports it.
    """

    __pydantic_config__: ClassVar[Any] = {
        "extra": "forbid",
        "strict": True,
        "json_schema_serialization_defaults_required": True,
    }


@dataclass(frozen=True, eq=False)
class Written:
    """Says, in `Annotated[..., Written(kind)]`, what a file holds where Python has another type.

    Attributes:
        kind: The type in the file, such as a list where Python also takes an array.
        limits: What pydantic checks of it, such as `{"ge": 0}`.
    """

    kind: Any
    limits: Mapping[str, Any] = field(default_factory=dict)

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """Let a file be read and written as the kind."""
        return handler.generate_schema(self.kind) | self.limits


Number = Annotated[float, Written(float | None)]
"""A number of the report, which has null for NaN."""
Count = Annotated[int, Written(int, {"ge": 0})]


def set_choices(holder: Any, **kinds: type[StrEnum]) -> None:
    """Replace names by members of their enumeration, in fields of a frozen value while it is made.

    Args:
        holder: The value.
        kinds: The enumeration of each field.

    Raises:
        InputError: There is no such member.
    """
    for name, kind in kinds.items():
        value = getattr(holder, name)
        try:
            object.__setattr__(holder, name, kind(value))
        except ValueError:
            raise InputError(f"Expected one of {', '.join(kind)} as {name}, found {value!r}.") from None
