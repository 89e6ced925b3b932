"""Names that come from files, made harmless for whoever shows them: a page, a picture, a terminal."""

import re
import unicodedata
from collections.abc import Iterable

import numpy as np

_LONGEST = 200  # letters of a name that are shown; a renderer of text may take time that grows with its square
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})  # what is not seen, moves the rest, or is no letter
_JOINERS = frozenset("\u200c\u200d")  # written within words of Persian and Hindi, and in emoji
_MOST_MARKS = 8  # that stand on one letter
_HALF = re.compile("[\ud800-\udfff]")


def harmless(text: str) -> str:
    r"""Return text without anything that is not seen or moves what stands around it: its code is written instead.

    That is control characters (a terminal obeys them, and XML forbids them), marks that turn the direction of writing,
    halves of pairs of UTF-16, what Unicode keeps for no letter, and more accents than stand on one letter.

    Example:
        >>> print(harmless("ward\x1b[31m 7"), harmless("Zürich 東京"))
        ward\x1b[31m 7 Zürich 東京
    """
    if text.isascii() and text.isprintable():
        return text
    shown: list[str] = []
    n_marks = 0
    for letter in text:
        category = unicodedata.category(letter)
        n_marks = n_marks + 1 if category in ("Mn", "Me") else 0
        is_hidden = category in _HIDDEN and letter not in _JOINERS
        shown.append(_code(letter) if is_hidden or n_marks > _MOST_MARKS else letter)
    return "".join(shown)


def harmless_names(names: Iterable[object]) -> list[str]:
    r"""Return a name to be shown for each: harmless, no longer than can be read, and different where they differ.

    Example:
        >>> harmless_names(["a", "a\n", "a\\n", "b" * 1000])[:3]
        ['a', 'a\\n', 'a\\n (2)']
    """
    shown: list[str] = []
    taken: set[str] = set()
    for name in names:
        text = harmless(str(name))
        text = short = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
        again = 1
        while text in taken:
            again += 1
            text = f"{short} ({again})"
        taken.add(text)
        shown.append(text)
    return shown


def encodable(values: np.ndarray) -> np.ndarray:
    r"""Return values with halves of pairs of UTF-16 in texts written as their codes: no file can hold them.

    Example:
        >>> encodable(np.array(["a", "b\ud800"])).tolist()
        ['a', 'b\\ud800']
    """
    if values.dtype.kind not in "OU" or not any(isinstance(v, str) and _HALF.search(v) for v in values.tolist()):
        return values
    shown = [_HALF.sub(lambda half: _code(half[0]), v) if isinstance(v, str) else v for v in values.tolist()]
    return np.array(shown, dtype=object if values.dtype.kind == "O" else None)


def _code(letter: str) -> str:
    number = ord(letter)
    if letter in "\n\r\t":
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}[letter]
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
