"""Runs the blocks of pages, in a process of its own: users have no type checks of the tests in it.

On each line of the input stand a page and a folder; the answer is empty, or a traceback as one line of JSON.
"""

import json
import os
import re
import shlex
import sys
import traceback
from pathlib import Path

_BLOCK = re.compile(r'^(?:<!-- (.*?) -->\n)?```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.M | re.S)


def blocks(text: str) -> list[tuple[str, str, str, str]]:
    """Mark, language, title and code of each block."""
    return _BLOCK.findall(text)


def blocks_of(page: Path) -> list[tuple[str, str, str, str]]:
    """The blocks of a page, or the cells of a notebook."""
    if page.suffix != ".ipynb":
        return blocks(page.read_text())
    cells = [cell for cell in json.loads(page.read_text())["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] for cell in cells), "Expected no stored outputs: the page is made by running it."
    return [("", "python", "", "".join(cell["source"])) for cell in cells]


def run_page(page: Path, folder: Path) -> None:
    """Run a page's blocks in a folder, in their order."""
    from vestige import cli

    os.chdir(folder)
    sys.path.insert(0, str(folder))
    names: dict[str, object] = {"__name__": "page"}
    for mark, language, title, code in blocks_of(page):
        if mark.startswith("not run: "):
            continue
        if title:
            (folder / title).parent.mkdir(parents=True, exist_ok=True)
            (folder / title).write_text(code)
        elif language == "python":
            exec(compile(code, str(page), "exec"), names)
        elif language in ("sh", "console"):
            lines = [
                shlex.split(line.removeprefix("$ "), comments=True) for line in code.replace("\\\n", " ").splitlines()
            ]
            commands = [line for line in lines if line[:1] == ["vestige"]]
            expected = [0] * len(commands)
            if mark:
                expected[-1] = int(mark.removeprefix("exit code "))
            for command, code_of_it in zip(commands, expected, strict=True):
                sys.argv = command
                found = cli._exit_code()
                assert found == code_of_it, f"{shlex.join(command)} ended with exit code {found}"
    sys.path.remove(str(folder))
    sys.modules.pop("clinic", None)


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what pages print is not an answer
    for line in sys.stdin:
        said = ""
        try:
            run_page(*map(Path, json.loads(line)))
        except BaseException:
            said = traceback.format_exc()
        print(json.dumps(said), file=answers, flush=True)
