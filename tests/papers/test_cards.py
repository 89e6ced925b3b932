"""What holds of every training card."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.papers.cards import CARDS, records_of

from vestige.training.identity import is_reusable
from vestige.training.stacked import reason_against, train_stack

NAMES = sorted(CARDS)


@pytest.mark.parametrize("name", NAMES)
def test_another_process_can_rely_on_a_card(name):
    assert is_reusable(CARDS[name].identity())


def test_no_two_cards_are_one():
    identities = [repr(card.identity()) for card in CARDS.values()]
    assert len(set(identities)) == len(CARDS)


@pytest.mark.parametrize("name", NAMES)
def test_models_of_a_card_can_be_stacked(name):
    assert reason_against(CARDS[name]) == ""


@pytest.mark.parametrize("name", NAMES)
def test_a_step_lowers_the_loss(name):
    """One step of the card's optimiser at a hundredth of its rate, on the batch whose loss is asked."""
    card, records = CARDS[name], records_of(name, 8)
    torch.manual_seed(0)
    network = card.network()
    network.apply(_without_dropout)
    optimiser = card.optimiser(network.parameters())
    for group in optimiser.param_groups:
        group["lr"] /= 100
    inputs, labels = card.preprocess(torch.from_numpy(records.inputs)), torch.from_numpy(records.labels)
    losses = []
    for _ in range(2):
        loss = card.loss(network(inputs), labels).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[1] < losses[0]


def _without_dropout(layer: torch.nn.Module) -> None:
    if isinstance(layer, torch.nn.Dropout):
        layer.p = 0.0


@pytest.mark.parametrize("name", NAMES)
def test_a_model_answers_with_logits_in_evaluation_mode(name):
    records = records_of(name, 4)
    model = replace(CARDS[name], epochs=1).fit(records, seed=0)
    answers = model.classifier(torch.from_numpy(records.inputs))
    assert answers.shape == (4, records.n_classes)
    assert torch.allclose(answers[:1], model.classifier(torch.from_numpy(records.inputs[:1])), atol=1e-3)
    assert not torch.allclose(answers.sum(dim=1), torch.ones(4))


@pytest.mark.parametrize(
    "name", ["choquette_choo location, dropout", "watson credit, softmax twice", "song_mittal location, memguard"]
)
def test_a_stack_gives_the_models_of_the_plain_loop(name):
    recipe, records = replace(CARDS[name], epochs=2, stop=None), records_of(name, 12)
    member = np.arange(12) % 2 == np.arange(2)[:, None]
    for row, seed, stacked in zip(member, (5, 6), train_stack(recipe, records, member, seeds=(5, 6)), strict=True):
        plain = recipe.fit(records.take(row), seed=seed)
        for a, b in zip(stacked.classifier.parameters(), plain.classifier.parameters(), strict=True):  # type: ignore[union-attr]
            assert torch.allclose(a, b, atol=1e-4)
