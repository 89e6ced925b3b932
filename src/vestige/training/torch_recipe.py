"""`TorchRecipe`: how a torch network is trained."""

import functools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, asdict, dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor, nn
from torch.nn import functional

from vestige.core.errors import ArtefactError, InputError, TrainingError
from vestige.core.messages import brief
from vestige.core.recipe import Model
from vestige.core.records import Records
from vestige.training.accounting import Privacy
from vestige.training.classifier import (
    Classifier,
    as_float,
    check_losses,
    device_of,
    global_stream,
    seed_of,
    trained_weights,
)
from vestige.training.defences import Data, Defence, Penalty
from vestige.training.dp_sgd import DPSGD, Sampling
from vestige.training.identity import identity_of
from vestige.training.imitation import Distillation, Imitation
from vestige.training.plain import train
from vestige.training.pretrained import Pretrained, weights_file, weights_of
from vestige.training.stacked import Stack, reason_against, train_stack
from vestige.training.stopping import StopRule

Adam = functools.partial(torch.optim.Adam, lr=1e-3)

_DESCRIPTION = "model.json"
_TAKEN = "_vestige_taken"  # marks weights that belong to a model already


def cross_entropy(outputs: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy of every record [nats]."""
    return functional.cross_entropy(outputs, labels, reduction="none")


@dataclass(frozen=True)
class TorchRecipe:
    """A torch network and how it is trained.

    Data order, initial weights, dropout and augmentation have a random stream each, all of the model's own seed. The
    last batch of an epoch may be smaller; no record is dropped, unless batches are to be full ones.

    Attributes:
        network: Makes an untrained network, or a `Pretrained` one; called without arguments. It returns logits, never
            probabilities.
        epochs: Epochs of training; the most there can be, if there is a rule that stops earlier.
        batch_size: Records per step.
        optimiser: Makes an optimiser of parameters, such as `functools.partial(torch.optim.SGD, lr=0.1, momentum=0.9)`.
        schedule: From the share of all steps done, in [0, 1), to a factor of the learning rate; None keeps it.
        stop: When to stop earlier; None never does.
        augment: Changes a batch, after `preprocess`, in every step: `(inputs, generator) -> inputs`. The inputs lie on
            the device of the training, the generator always on the processor: draw there and move what was drawn.
        loss: Loss of every record from logits and labels; its mean over a batch is minimised.
        preprocess: From inputs as they are in the records to what the network takes; part of the model, so that
            whoever asks it need not know.
        bfloat16: Whether training may be done in bfloat16 and channels-last where the processor has units for it. That
            changes the numbers within what another seed would.
        evaluation_mode: Whether the model answers in evaluation mode. False repeats published code that left it out:
            answers then depend on the other records asked at the same time.
        version: Whatever else decides the result and is to make it another recipe.
        full_batches: Whether the last batch of every epoch is dropped if it is smaller, as some published code does.
        left_out: Full batches that every epoch leaves out as well, as one is in code for adversarial regularisation.
        defences: What changes training, such as `(L2(3.0), Translates(2))`, in order. A mean loss has what they add.
        imitation: How to learn the answers that the records bring with them; None learns labels alone.

    Raises:
        InputError: A number is out of range, or a defence is of another kind.

    Example:
        >>> recipe = TorchRecipe(functools.partial(nn.Linear, 2, 2), epochs=3)
        >>> model = recipe.fit(Records([[1.0, 0.0], [0.0, 1.0]], [0, 1]), seed=0)
        >>> model.epoch, len(model.history["loss"])
        (3, 3)
    """

    network: Callable[[], nn.Module]
    _: KW_ONLY
    epochs: int
    batch_size: int = 128
    optimiser: Callable[[Any], torch.optim.Optimizer] = Adam
    schedule: Callable[[float], float] | None = None
    stop: StopRule | None = None
    augment: Callable[[Tensor, torch.Generator], Tensor] | None = None
    loss: Callable[[Tensor, Tensor], Tensor] = cross_entropy
    preprocess: Callable[[Tensor], Tensor] = as_float
    bfloat16: bool = False
    evaluation_mode: bool = True
    version: str = ""
    full_batches: bool = False
    left_out: int = 0
    defences: tuple[Defence, ...] = ()
    imitation: Imitation | Distillation | None = None

    def __post_init__(self) -> None:
        if isinstance(self.network, nn.Module) or not callable(self.network):
            raise InputError(
                f"Expected a function that makes a network, found a {type(self.network).__name__} itself; every model "
                "begins with one of its own: give its class, or functools.partial(Network, sizes)."
            )
        for name, least in (("epochs", 1), ("batch_size", 1), ("left_out", 0)):
            value = getattr(self, name)
            if not isinstance(value, Integral) or value < least:
                raise InputError(f"Expected a whole number of at least {least} as {name}, found {value}.")
        if self.imitation is not None and self.stop is not None:
            raise InputError(
                "Expected a fixed number of epochs to imitate a model, found a rule of stopping, which may end "
                "training before the answers are looked at; leave out stop."
            )
        kinds = ", ".join(type(defence).__name__ for defence in self.defences)
        if not all(isinstance(defence, Defence) for defence in self.defences):
            raise InputError(
                f"Expected defences such as L2(3.0), found {kinds}; make them classes of "
                "vestige.training.defences.Defence."
            )
        # DP-SGD would have to account for copies, and for what looks at a whole batch.
        if sum(bool(d.not_in_stacks) or d.n_copies > 1 for d in self.defences) > 1:
            raise InputError(
                "Expected one defence at most that makes copies, looks at batches or clips records, found "
                f"{kinds}; leave the others out."
            )
        if self.private is not None and (self.stop is not None or self.bfloat16):
            raise InputError(
                f"Expected no {'stopping rule' if self.stop is not None else 'bfloat16'} with DP-SGD, whose accountant "
                "knows nothing of it, found one; leave it out, or end training with an epsilon."
            )

    def fit(
        self,
        records: Records,
        *,
        seed: int,
        start: Model | None = None,
        validation: Records | None = None,
        checkpoints: Sequence[int] = (),
        device: str | None = None,
    ) -> Model:
        """Train one network; see `vestige.core.recipe.Recipe.fit`.

        `start` gives the weights; the optimiser and the schedule begin anew.
        """
        return train(
            self, records, seed=seed, start=start, validation=validation, checkpoints=checkpoints, device=device
        )

    def fit_stack(
        self,
        records: Records,
        member: Bool[np.ndarray, "model record"],
        *,
        seeds: Sequence[int],
        checkpoints: Sequence[int] = (),
    ) -> list[Model | TrainingError]:
        """Train a network on each row of a membership matrix, all at once; see `train_stack`."""
        return train_stack(self, records, member, seeds=seeds, checkpoints=checkpoints)

    def reason_against_stacks(self) -> str:
        """Return why models cannot be trained as one, in words; empty if they can, as far as their layers tell."""
        return reason_against(self)

    @property
    def base(self) -> "TorchRecipe":
        """How the network is trained, as in recipes that train something beside it: the recipe itself."""
        return self

    def shortened(self, n_records: int, epochs: int) -> "TorchRecipe":
        """Return a recipe whose steps take as long, for a measurement of so many epochs.

        Args:
            n_records: Of a whole training.
            epochs: Of the measurement.
        """
        return replace(self, epochs=epochs, stop=None)

    def identity(self) -> Mapping[str, Any]:
        """Return everything that decides the model; see `vestige.core.recipe.Recipe.identity`."""
        functions = {
            name: None if (value := getattr(self, name)) is None else identity_of(value)
            for name in ("network", "optimiser", "schedule", "stop", "augment", "loss", "preprocess")
        }
        if isinstance(self.network, Pretrained):
            functions["network"] = dict(self.network.identity())
        numbers = {name: getattr(self, name) for name in ("epochs", "batch_size", "bfloat16", "evaluation_mode")}
        identity = {"recipe": "torch", **functions, **numbers, "version": self.version}
        if self.full_batches:  # defaults are left out, so that older banks are read
            identity["full_batches"] = True
        if self.left_out:
            identity["left_out"] = self.left_out
        if self.defences:
            identity["defences"] = [_named(defence) for defence in self.defences]
        if self.imitation is not None:
            identity["imitation"] = self.imitation.identity()
        return identity

    def n_used(self, n_records: int) -> int:
        """Return how many inputs an epoch goes through, of so many records and their copies.

        Raises:
            InputError: Batches are to be full ones, and there are too few records for one.
        """
        n = n_records * self.n_copies
        least = self.left_out + self.full_batches
        if n < self.batch_size * least:
            raise InputError(
                f"Expected at least {self.batch_size * least} records for full batches, found {n}; take smaller "
                "batches, or full_batches=False."
            )
        return n - self.batch_size * self.left_out - (n % self.batch_size if self.full_batches else 0)

    def n_steps(self, n_records: int) -> int:
        """Return the steps of an epoch on so many records; raises as `n_used`."""
        return math.ceil(self.n_used(n_records) / self.batch_size)

    def n_weights(self, n_classes: int) -> int:
        """Return how many numbers an optimiser moves for one model."""
        with torch.random.fork_rng(devices=[]):
            return sum(weight.numel() for weight in trained_weights(self.network()))

    @property
    def third_pools(self) -> Mapping[str, Records]:
        """Records by what they are for that decide the models and are never audited."""
        records = self.network.records if isinstance(self.network, Pretrained) else None
        return {} if records is None else {"pretraining": records}

    @property
    def private(self) -> DPSGD | None:
        """DP-SGD, if it is among the defences."""
        return next((defence for defence in self.defences if isinstance(defence, DPSGD)), None)

    def settled(self, n_records: int) -> "TorchRecipe":
        """Return the recipe with the noise and the epochs that an epsilon leaves it on so many records.

        Raises:
            InputError: Epsilon cannot be reached.
        """
        if self.private is None:
            return self
        share = min(self.batch_size / n_records, 1.0)
        settled, epochs = self.private.settled(n_records, share, self.n_steps(n_records), self.epochs)
        others = (settled if defence is self.private else defence for defence in self.defences)
        return replace(self, epochs=epochs, defences=tuple(others))

    def privacy(self, n_records: int) -> Privacy | None:
        """Return what DP-SGD promises of a model of so many records; None without it.

        Raises:
            InputError: Its epsilon cannot be reached.
        """
        recipe = self.settled(n_records)
        if recipe.private is None:
            return None
        share = min(self.batch_size / n_records, 1.0)
        return recipe.private.privacy(n_records, share, recipe.n_steps(n_records) * recipe.epochs)

    def batches(self, n_inputs: int, n_used: int, order: torch.Generator) -> Sequence[Tensor]:
        """Return which inputs each step of an epoch is given.

        Args:
            n_inputs: All there are.
            n_used: Those that an epoch goes through.
            order: Random stream of the model's data order.
        """
        if self.private is not None and self.private.sampling == Sampling.POISSON:
            n_steps = math.ceil(n_used / self.batch_size)
            return list(self.private.batches(n_inputs, n_steps, self.batch_size, order))
        return torch.split(torch.randperm(n_inputs, generator=order)[:n_used], self.batch_size)

    @property
    def n_copies(self) -> int:
        """Inputs that are made of every record."""
        return math.prod(defence.n_copies for defence in self.defences)

    def enlarged(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return what is trained on: the records, once for every copy that a defence makes of them."""
        for defence in self.defences:
            inputs, labels = defence.enlarged(inputs), labels.repeat(defence.n_copies)
        return inputs, labels

    def imitated(self, records: Records, device: str) -> Tensor | None:
        """Return the answers to imitate, one for every row of `enlarged`; None if nothing is imitated.

        Raises:
            InputError: The records bring none.
        """
        if self.imitation is None:
            return None
        if records.answers is None:
            raise InputError(
                "Expected records with the answers of the model to imitate, found none; take "
                "Records.answered(logits), or leave the recipe's imitation out."
            )
        return torch.from_numpy(records.answers.astype("float32")).to(device).repeat(self.n_copies, 1)

    def losses(self, outputs: Tensor, labels: Tensor, answers: Tensor | None, n_epochs: int) -> Tensor:
        """Return what each record of a batch adds to the mean loss, after so many epochs."""
        losses = self.loss(outputs, labels)
        check_losses(losses, len(labels))
        for defence in self.defences:
            losses = defence.mixed(losses, outputs, labels, n_epochs)
        if answers is None or self.imitation is None or n_epochs < self.imitation.begins_after(self.epochs):
            return losses
        return self.imitation.mixed(losses, outputs, answers)

    def penalty_on(self, network: nn.Module) -> Penalty | None:
        """Return what the defences add to the loss of networks like this one; None if they add nothing."""
        penalties = [penalty for defence in self.defences if (penalty := defence.on(network)) is not None]
        if not penalties:
            return None
        return lambda weights: torch.stack([penalty(weights) for penalty in penalties]).sum(dim=0)

    def turns(self, classifier: nn.Module, data: Data, n_epochs: int, n_batches: int) -> Iterator[int]:
        """Yield which batches of an epoch are trained on, in turn: as the last defence has it."""
        return self._last.turns(classifier, data, n_epochs, n_batches)

    def turns_of_stack(self, stack: Stack, data: Data, n_epochs: int, n_batches: int) -> Iterator[int]:
        """Yield which batches of an epoch the models of a stack are trained on, in turn: as the last defence has it."""
        return self._last.turns_of_stack(stack, data, n_epochs, n_batches)

    @property
    def _last(self) -> Defence:
        return self.defences[-1] if self.defences else Defence()

    def dump(self, model: Model) -> Mapping[str, bytes]:
        """Return the weights, also of the checkpoints, as safetensors and the rest as JSON."""
        from safetensors.torch import save

        models = (*model.checkpoints, model)
        description = {
            "n_classes": model.n_classes,
            "seed": model.seed,
            "epochs": [m.epoch for m in models],
            "history": {name: list(values) for name, values in model.history.items()},
        }
        files = {weights_file(m.epoch): save(weights_of(m.classifier.network)) for m in models}
        return {_DESCRIPTION: json.dumps(description).encode(), **files}

    def load(self, files: Mapping[str, bytes]) -> Model:
        """Return the model that `dump` gave these files for."""
        try:
            return _described(self, files)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            found = f"{type(error).__name__}: {brief(str(error), 120)}"
            raise ArtefactError(
                f"Expected the files of a torch model, found damaged or foreign ones: {found}."
            ) from None

    def new_classifier(self) -> Classifier:
        """Return an untrained network with its preprocessing, from torch's global random stream.

        Raises:
            InputError: The network, or a trainable part of it, was returned before.
        """
        network = self.network()
        for weight in (w for w in network.parameters() if w.requires_grad):
            if hasattr(weight, _TAKEN):
                raise InputError(
                    "Expected a new network at every call, found weights of an earlier one; make the network and its "
                    "layers inside the function that the recipe calls."
                )
            setattr(weight, _TAKEN, True)
        return Classifier(network, self.preprocess, self.evaluation_mode)


def _named(defence: Any) -> dict[str, Any]:
    """A defence as part of an identity: of Vestige's own the fields that are set, of others the text of their code."""
    if type(defence).__module__.partition(".")[0] != "vestige":
        return identity_of(defence)
    return {"defence": type(defence).__name__, **asdict(defence)}


# ------------------------------------------------------------------------------- files of a model


def _described(recipe: TorchRecipe, files: Mapping[str, bytes]) -> Model:
    described = json.loads(files[_DESCRIPTION])
    n_classes, seed = int(described["n_classes"]), int(described["seed"])
    history = {name: tuple(map(float, values)) for name, values in described["history"].items()}
    *earlier, last = described["epochs"]
    checkpoints = tuple(
        Model(
            _classifier(recipe, seed, files[weights_file(epoch)]), n_classes, seed=seed, epoch=epoch, checkpoints=(),
            history={name: values[:epoch] for name, values in history.items()},
        )
        for epoch in earlier
    )  # fmt: skip
    return Model(
        _classifier(recipe, seed, files[weights_file(last)]),
        n_classes,
        seed=seed,
        epoch=last,
        checkpoints=checkpoints,
        history=history,
    )


def _classifier(recipe: TorchRecipe, seed: int, weights: bytes) -> nn.Module:
    from safetensors import SafetensorError
    from safetensors.torch import load as tensors_of_bytes

    # What a network draws and does not keep with its weights is drawn again as it was.
    with global_stream(seed_of(seed, "weights")):
        classifier = recipe.new_classifier()
    try:
        classifier.network.load_state_dict(tensors_of_bytes(weights))
    except (RuntimeError, SafetensorError) as error:
        found = brief(" ".join(str(error).split()), 200)
        raise ArtefactError(f"Expected the weights of the recipe's network, found others: {found}") from None
    return classifier.ready().to(device_of(None))  # as one that was just trained: a resumed run says the same
