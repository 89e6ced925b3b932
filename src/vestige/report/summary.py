"""`summary.html` and `summary.pdf`: an audit on one page for people without statistics; it may be released."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path

from vestige.core.messages import brief
from vestige.core.result import AuditResult
from vestige.report import plain_words as plain
from vestige.report.files import replacing
from vestige.report.page import drawn, name_of, template
from vestige.report.renderer import RENDERER, NotDrawn

_SURE = (
    "Where a number lies between two others, 19 of 20 such ranges hold the true one. All numbers are in report.html."
)


@dataclass(frozen=True)
class Section:
    """What is said under one heading, a paragraph each."""

    title: str
    words: tuple[str, ...]


def write_summary(result: AuditResult, folder: Path, defences: Sequence[tuple[str, ...]] = ()) -> None:
    """Write `summary.html`.

    Args:
        result: What an audit found.
        folder: Where to write; it exists.
        defences: As of `summary_of`.

    Raises:
        OutputError: The folder cannot be written.
    """
    page = drawn(partial(_page, result, defences))
    with replacing(folder / "summary.html") as file:
        file.write(page.encode())


def _page(result: AuditResult, defences: Sequence[tuple[str, ...]]) -> str:
    return template("summary.html.j2").render(
        title=_title(result),
        tone=plain.tone(result),
        answer=plain.answer(result),
        sections=summary_of(result, defences),
    )


def write_pdf(result: AuditResult, folder: Path, defences: Sequence[tuple[str, ...]] = ()) -> bool:
    """Write `summary.pdf`, one A4 page; nothing where it cannot be drawn.

    Args:
        result: What an audit found.
        folder: Where to write; it exists.
        defences: As of `summary_of`.

    Returns:
        Whether it was written.

    Raises:
        OutputError: The folder cannot be written.
    """
    try:
        content = RENDERER.pdf(_drawn(_title(result), plain.answer(result), summary_of(result, defences)))
    except NotDrawn:
        return False
    with replacing(folder / "summary.pdf") as file:
        file.write(content)
    return True


def summary_of(result: AuditResult, defences: Sequence[tuple[str, ...]] = ()) -> list[Section]:
    """Say what was tested, what was found, and what follows, in plain words.

    Args:
        result: What an audit found.
        defences: Of each that a comparison looked at: name, what is found, the change, and the accuracy.
    """
    provenance, options = result.provenance, result.provenance.options
    who = f" by {options['author']}" if options.get("author") else ""
    purpose = f" Purpose: {options['purpose']}." if options.get("purpose") else ""
    made = f"Audited on {provenance.created[:10]}{who} with Vestige {provenance.vestige_version}.{purpose}"
    digest = (
        f"It speaks of the answers with the SHA-256 digest {provenance.target_digest[:16]}..., and of nothing else."
    )
    return [
        Section("What was tested", (plain.what_was_tested(result),)),
        Section("May it be released?", (plain.of_validity(result), plain.found(result), plain.release(result))),
        Section("For whom is it worse?", (plain.for_whom(result),)),
        Section("What was not tested", plain.untested(result)),
        Section("What to do now", plain.next_steps(result, defences)),
        Section(
            "Who made this, and when",
            (brief(made, 2 * plain.MOST), digest, _SURE),
        ),
    ]


def _title(result: AuditResult) -> str:
    name = name_of(result)
    return brief(f"Can somebody tell whose data trained this model{': ' + name if name else ''}?", 160)


# ------------------------------------------------------------------------------------------------------ the PDF

_WIDTH, _HEIGHT, _MARGIN = 595, 842, 56  # A4 in points
_NARROW, _WIDE = set("ijl.,;:'|!()[]tfrI -"), set("mwMW%@&")


def _drawn(title: str, answer: str, sections: Sequence[Section]) -> str:
    """Draw the page, with the largest letters with which all of it fits."""
    for size in (11.0, 10.0, 9.0, 8.0, 7.0, 6.0):
        lines: list[str] = []
        y = float(_MARGIN)
        for text, scale, bold in _pieces(title, answer, sections):
            y += size * (0.9 if bold else 0.25)
            for line in _wrapped(text, (_WIDTH - 2 * _MARGIN) / (size * scale * (1.06 if bold else 1.0))):
                y += 1.35 * size * scale
                weight = ' font-weight="bold"' if bold else ""
                lines.append(
                    f'<text x="{_MARGIN}" y="{y:.1f}" font-size="{size * scale:g}"{weight}>{escape(line)}</text>'
                )
        if y <= _HEIGHT - _MARGIN:
            break
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" '
        f'font-family="Helvetica, Arial, sans-serif" fill="#1f2933">{"".join(lines)}</svg>'
    )


def _pieces(title: str, answer: str, sections: Sequence[Section]) -> list[tuple[str, float, bool]]:
    """Text, its size against that of a paragraph, and whether it is bold."""
    pieces = [(title, 1.3, True), (answer, 1.7, True)]
    for section in sections:
        pieces += [(section.title, 1.15, True), *((words, 1.0, False) for words in section.words)]
    return pieces


def _wrapped(text: str, width: float) -> list[str]:
    """Break text into lines of so many times the letters' size at most; a long word is broken too."""
    lines: list[str] = []
    line, used = "", 0.0
    for word in text.split():
        wide = _wide(word)
        if line and used + 0.28 + wide > width:
            lines, line, used = [*lines, line], "", 0.0
        while wide > width:
            fit = max(1, int(len(word) * width / wide))
            lines, word = [*lines, word[:fit]], word[fit:]
            wide = _wide(word)
        line, used = (f"{line} {word}", used + 0.28 + wide) if line else (word, wide)
    return [*lines, line] if line else lines


def _wide(word: str) -> float:
    """Estimate how wide a word is in Helvetica, rather too much: letters of other scripts are as wide as high."""
    return sum(
        0.34 if c in _NARROW else 0.9 if c in _WIDE else 0.7 if c.isupper() else 0.56 if c.isascii() else 1.0
        for c in word
    )
