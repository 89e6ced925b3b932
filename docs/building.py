"""What `make docs` does beside reading pages: it runs the notebook, and shows the examples of docstrings as code."""

import os
import re
import tempfile
from pathlib import Path
from typing import Any

import griffe
import nbformat
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from nbconvert import MarkdownExporter
from nbconvert.preprocessors import ExecutePreprocessor

NOTEBOOK = "notebooks/first-audit.ipynb"
_ELSEWHERE = re.compile(
    r"""<(?:script|img|iframe|link (?!rel="?canonical))[^>]*(?:src|href)=["']?(?:https?:)?//[^ "'>]*"""
)


def on_files(files: Files, *, config: Any) -> Files:
    """Run the notebook from the beginning, and add what it shows as a page; a cell that fails ends the build."""
    notebook = nbformat.read(Path(config.docs_dir, NOTEBOOK), as_version=4)
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        runs = ExecutePreprocessor(timeout=600, startup_timeout=300)
        runs.preprocess(notebook, {"metadata": {"path": folder}})
    text, resources = MarkdownExporter().from_notebook_node(notebook)
    page = NOTEBOOK.replace(".ipynb", ".md")
    text += f"\n[The notebook itself]({Path(NOTEBOOK).name})\n"
    files.append(File.generated(config, page, content=text))
    for name, picture in resources["outputs"].items():
        files.append(File.generated(config, f"{Path(page).parent}/{name}", content=picture))
    return files


def on_post_page(output: str, *, page: Any, config: Any) -> str:
    """End the build where a page would ask the network for something."""
    asked = _ELSEWHERE.search(output)
    if asked:
        raise PluginError(f"{page.file.src_path}: Expected nothing from elsewhere, found {asked[0]}; keep it in docs.")
    return output


class Examples(griffe.Extension):
    """Our docstrings say `Example:`, which griffe knows in the plural alone."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rename the section."""
        if obj.docstring:
            obj.docstring.value = obj.docstring.value.replace("\nExample:\n", "\nExamples:\n")
