"""The attackers of adversarial regularisation of a whole stack: one step trains those of all its classifiers."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from vestige.core.errors import UnsupportedModelError
from vestige.training.defences import Data, Defence
from vestige.training.stacked import Stack, kept_weights, stacked_weights, taken
from vestige.training.stacked_layers import Direct, Masks, StackedNetwork, Weights, sees_others

if TYPE_CHECKING:
    from vestige.training.adversarial_regularisation import Adversary


class Adversaries(Defence):
    """The attackers of the models of a stack, as a part of their recipe.

    Each has the first weights and the order of records that it has beside a classifier trained alone, so that it takes
    the same steps, to rounding.

    Args:
        each: The attacker of every model, untrained; what it learns of its model is noted there.
        implemented: Returns the implementation of a stack of networks like one.
    """

    def __init__(self, each: Sequence["Adversary"], implemented: Callable[[nn.Module, Masks], StackedNetwork]) -> None:
        self.each, self.going, self.recipe = list(each), list(range(len(each))), each[0].recipe
        self.masks = Masks([torch.Generator() for _ in each])
        self.network = implemented(each[0].network, self.masks)
        networks = [adversary.network for adversary in each]
        self.weights, self.buffers, self.optimiser = stacked_weights(
            networks, self.recipe.optimiser, self.network.packed
        )

    def mixed(self, losses: Tensor, outputs: Tensor, labels: Tensor, n_epochs: int) -> Tensor:
        """Return the losses with what every member of every model pays."""
        sizes, frozen = (len(self.going), -1), {name: weight.detach() for name, weight in self.weights.items()}
        asked = torch.unflatten(outputs, 0, sizes), torch.unflatten(labels, 0, sizes)
        logits = self.network.answers(frozen, self.buffers, asked, training=False).flatten()
        return losses + self.recipe.strength * self.recipe.penalty.paid(logits)

    def turns_of_stack(self, stack: Stack, data: Data, n_epochs: int, n_batches: int) -> Iterator[int]:
        """Yield the classifiers' batches, and train the attackers in between."""
        if n_epochs == 0:
            self._begin(stack, data)
        self._keep([run.index for run in stack.runs])
        there, n_others = [self.each[i] for i in self.going], len(self.each[0].reference[1])
        pools = [
            (run.rows[torch.randperm(len(run.rows), generator=a.order)], torch.randperm(n_others, generator=a.order))
            for run, a in zip(stack.runs, there, strict=True)
        ]
        right: list[Tensor] = []
        for own, classifiers in self.recipe.schedule.rounds(n_epochs, n_batches):
            right += (self._step(stack, data, pools, number % n_batches) for number in own)
            yield from classifiers
        shares = torch.stack(right).mean(dim=0).tolist() if right else [math.nan] * len(there)
        for adversary, share in zip(there, shares, strict=True):
            adversary.accuracies.append(share)

    def _begin(self, stack: Stack, data: Data) -> None:
        """Note the losses of untrained classifiers; refuse what would make padding of a batch matter."""
        for run, adversary in zip(stack.runs, self.each, strict=True):
            adversary.begin(run.template, data[0][run.rows], data[1][run.rows])
        first, n_classes = self.each[0].network, self.each[0].recipe.reference.n_classes
        labels = torch.arange(n_classes, device=data[1].device)
        asked = torch.eye(n_classes).to(next(iter(stack.weights.values())))
        uneven = len({run.n_used for run in stack.runs}) > 1
        if uneven and sees_others(lambda some: first(some, labels[: len(some)]), asked):
            raise UnsupportedModelError(
                "Expected an attacker that looks at every record alone, or as many records for each model of a stack, "
                "found neither; train the models one by one."
            )

    def _keep(self, going: list[int]) -> None:
        """Leave out the attackers of models that have ended."""
        if going == self.going:
            return
        keep = torch.tensor([self.going.index(i) for i in going])
        self.weights, self.optimiser = kept_weights(self.weights, self.optimiser, keep)
        self.buffers = {name: buffer[keep] for name, buffer in self.buffers.items()}
        self.masks.streams = self.masks.streams[: len(going)]  # they are seeded anew in every step
        self.going = going

    def _step(self, stack: Stack, data: Data, pools: Sequence[tuple[Tensor, Tensor]], number: int) -> Tensor:
        """One step on as many members as reference records; return the share that each attacker knew before."""
        size, reference = self.recipe.base.batch_size, self.each[0].reference
        both = [[rows_of_batch(order, number, size) for order in pool] for pool in pools]
        sizes = {min(map(len, rows)) for rows in both}
        if len(sizes) > 1:
            raise UnsupportedModelError(f"Expected one size of an attacker's batch in a stack, found {sorted(sizes)}.")
        n = sizes.pop()
        own, others = (torch.stack([rows[i][:n] for rows in both]).to(data[1].device) for i in range(2))
        labels = torch.cat([taken(data[1], own), taken(reference[1], others)], dim=1)
        outputs = stack.answers(torch.cat([taken(data[0], own), taken(reference[0], others)], dim=1))
        for stream, i in zip(self.masks.streams, self.going, strict=True):
            stream.manual_seed(int(torch.randint(2**62, (1,), generator=self.each[i].order)))
        self.masks.of_batch(outputs, [2 * n] * len(pools))
        self.optimiser.zero_grad(set_to_none=True)
        logits = self.network.answers(self.weights, self.buffers, (outputs, labels), training=True)
        member = torch.cat([torch.ones(len(pools), n), torch.zeros(len(pools), n)], dim=1).to(outputs)
        losses = self.recipe.penalty.loss(logits, member, "none")
        losses.mean(dim=1).sum().backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        return ((logits.detach() > 0) == (member > 0)).double().mean(dim=1).cpu()


class JoinedRows(StackedNetwork):
    """A `MembershipNetwork` without `vmap`, under which its wide layers take half as long again.

    Args:
        network: The network.
        rows: Its layers for the answer, for the class, and for both.
        probabilities: Whether it is given probabilities.
        masks: Of dropout.
    """

    def __init__(self, network: nn.Module, rows: Sequence[list[nn.Module]], probabilities: bool, masks: Masks) -> None:
        self.probabilities, self.rows = probabilities, [Direct(network, layers, masks) for layers in rows]

    def packed(self, weights: Weights) -> Weights:
        """Transpose the weights of linear layers."""
        for row in self.rows:
            weights = row.packed(weights)
        return weights

    def unpacked(self, weights: Weights) -> Weights:
        """Transpose them back."""
        for row in self.rows:
            weights = row.unpacked(weights)
        return weights

    def answers(self, weights: Weights, buffers: Weights, inputs: Any, training: bool) -> Tensor:
        """Return model x record logits of membership, of logits and labels."""
        logits, labels = inputs
        answers, classes, joint = (partial(row.answers, weights, buffers, training=training) for row in self.rows)
        given = logits.softmax(dim=2) if self.probabilities else logits
        one_hot = functional.one_hot(labels, logits.shape[2]).to(logits)
        both: Tensor = joint(torch.cat([answers(given), classes(one_hot)], dim=2))
        return both[:, :, 0]


def rows_of_batch(order: Tensor, number: int, size: int) -> Tensor:
    """Return a batch of a shuffled pool; a number beyond its batches begins again."""
    first = number * size % max(len(order) - len(order) % size, 1)
    return order[first : first + size]
