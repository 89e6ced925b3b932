"""`AuditResult` -> tables, JSON, a page, a terminal. Computes no number.

Each name is imported when it is first used, so that importing this package costs nothing until something is written.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vestige.report.document import ReportDocument, json_schema, to_document, write_json
    from vestige.report.page import render_page, write_page
    from vestige.report.summary import write_summary
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
    "write_summary",
    "write_targets",
]

_ROOMS = {
    "document": ("ReportDocument", "json_schema", "to_document", "write_json"),
    "page": ("render_page", "write_page"),
    "summary": ("write_summary",),
    "tables": ("write_records", "write_results", "write_targets"),
    "terminal": ("print_result",),
}


def __getattr__(name: str) -> Any:
    for room, names in _ROOMS.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{room}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
