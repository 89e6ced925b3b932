"""What makes a frozen dataclass a table of an audit file too: it is declared once, for Python and for TOML."""

from dataclasses import dataclass
from typing import Any, ClassVar


class Setting:
    """A dataclass that is also a table of an audit file: nothing unknown in it, and no value of another type.

    Pydantic reads this attribute where a file is read; nothing here imports it.
    """

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid", "strict": True}


@dataclass(frozen=True)
class Written:
    """Says, in `Annotated[..., Written(kind)]`, what a file holds where Python takes other things too.

    Attributes:
        kind: The type that is read, such as a list where Python also takes an array.
    """

    kind: Any

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """Let a file be read as the kind."""
        return handler.generate_schema(self.kind)
