"""Every attack of the catalogue has the BibTeX of its paper, and nobody else's."""

import re

import pytest

from vestige.attacks import CATALOGUE, bibtex
from vestige.core.errors import InputError

NAMES = [attack.name for attack in CATALOGUE]
WORDS = {
    "ours; related: He": "He, Yu",
    "ours; after Du": "Du, Yuntao",
    "ours": "Murphy",
    "Yeom": "Yeom",
    "Salem": "Salem",
    "Song": "Song",
    "Watson": "Watson",
    "Carlini": "Carlini",
}
WORDS |= {"Shokri": "Shokri", "Nasr": "Nasr", "Jia": "Jia", "Choquette-Choo": "Choquette-Choo"}
WORDS |= {"Lassila": "Lassila", "Ye et al": "Ye, Jiayuan", "Zarifzadeh": "Zarifzadeh", "Bertran": "Bertran"}


@pytest.mark.parametrize("attack", CATALOGUE, ids=lambda a: a.name)
def test_the_entry_is_that_of_the_source(attack):
    (key,) = attack.citations
    entry = bibtex(attack.name)
    assert re.match(rf"@\w+\{{{key},\n", entry)
    author = next(name for word, name in WORDS.items() if attack.source.startswith(word))
    assert re.search(rf"author\s*= \{{[^=]*{author}", entry)
    if year := re.search(r"\b(?:19|20)\d\d\b", attack.source):
        assert re.search(rf"year\s*= \{{{year[0]}\}}", entry)
    assert entry.count("{") == entry.count("}")
    assert all(re.search(rf"^  {field}\s*= ", entry, re.MULTILINE) for field in ("author", "title", "year"))


def test_each_paper_is_listed_once_and_none_is_idle():
    everything = bibtex(*NAMES)
    keys = re.findall(r"^@\w+\{(\w+),$", everything, re.MULTILINE)
    assert len(keys) == len(set(keys)) == len({key for attack in CATALOGUE for key in attack.citations})
    assert bibtex("lira_online", "lira_offline") == bibtex("lira_online")
    assert bibtex() == ""


def test_an_unknown_attack_is_named_with_what_is_near():
    with pytest.raises(InputError, match="found lira_onlin; you may mean lira_online"):
        bibtex("lira_onlin")
