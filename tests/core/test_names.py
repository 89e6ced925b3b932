"""Names from files are shown without anything that moves a terminal or breaks a page."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vestige.core.names import encodable, harmless, harmless_names

ANY = st.text(st.one_of(st.characters(), st.sampled_from("\ud800\udfff\ufffe\u202e\x1b\x00\U0001ffff\u0301")))


@given(ANY)
def test_what_is_shown_can_be_seen_and_written(text):
    shown = harmless(text)
    shown.encode()
    assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cs", "Cn", "Co", "Zl", "Zp"}
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\ufeff")


PERSIAN = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"


@pytest.mark.parametrize("text", ["ward 7", "Zürich", "東京", "क्षि", "ไม่", PERSIAN, "👩\u200d⚕️", "Việt", "a×b", ""])
def test_names_of_every_script_stay_as_they_are(text):
    assert harmless(text) == text


@given(st.lists(st.one_of(ANY, st.sampled_from(["a\n", "a\\n", "x" * 300, "x" * 301])), unique=True, max_size=8))
def test_different_names_stay_different_and_short(names):
    shown = harmless_names(names)
    assert len(set(shown)) == len(names)


def test_long_names_are_cut():
    assert max(map(len, harmless_names(["\x07" * 10_000, "x" * 10_000]))) <= 203


def test_halves_of_pairs_can_be_written_to_files():
    numbers = np.arange(3)
    assert encodable(numbers) is numbers
    mixed = np.array(["\ud800", 7, None], dtype=object)
    assert encodable(mixed).tolist() == ["\\ud800", 7, None]
