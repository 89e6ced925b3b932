"""`AuditResult` -> tables, JSON, a page, a terminal. Computes no number.

Each name is imported when it is first used, so that this door costs nothing until something is written.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vestige.report.document import ReportDocument, json_schema, to_document, write_json
    from vestige.report.page import render_page, write_page
    from vestige.report.tables import write_records, write_results, write_targets
    from vestige.report.terminal import print_result

__all__ = [
    "ReportDocument",
    "json_schema",
    "print_result",
    "render_page",
    "to_document",
    "write_json",
    "write_page",
    "write_records",
    "write_results",
    "write_targets",
]

_ROOM_OF = {
    "ReportDocument": "document",
    "json_schema": "document",
    "print_result": "terminal",
    "render_page": "page",
    "to_document": "document",
    "write_json": "document",
    "write_page": "page",
    "write_records": "tables",
    "write_results": "tables",
    "write_targets": "tables",
}


def __getattr__(name: str) -> Any:
    if name not in _ROOM_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOM_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
