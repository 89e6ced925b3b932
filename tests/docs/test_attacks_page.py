"""`docs/attacks.md` is that of the catalogue: `python -m tests.docs.attacks_page` writes it anew."""

import pytest
from tests.docs.attacks_page import PAGE, page

from vestige.attacks import CATALOGUE


def test_the_page_is_current():
    assert PAGE.read_text(encoding="utf-8") == page()


@pytest.mark.parametrize("attack", CATALOGUE, ids=lambda attack: attack.name)
def test_every_attack_says_its_idea_in_two_sentences_and_its_formula(attack):
    text = page()
    assert f"\n### {attack.name}\n" in text
    idea = str(attack.score.__doc__).partition("Idea:")[2].partition("Formula:")[0]
    assert 1 <= " ".join(idea.split()).count(". ") + 1 <= 2
