"""Train models in complementary pairs and ask all of them about all records: phi in, phi out, nothing else kept."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float

from vestige.core.recipe import Model
from vestige.core.records import Records
from vestige.core.seeds import stream
from vestige.data.sets.designs import complementary_pairs
from vestige.signals.phi import phi_from_logits
from vestige.training.stacked import train_stack
from vestige.training.strategies import Strategy, groups_of, train_group
from vestige.training.torch_recipe import TorchRecipe

Views = Callable[[np.ndarray], Iterator[np.ndarray]]
"""From inputs to what is asked of each model in their place, one query of every record after another."""
_BATCH = 1000  # records asked about at once


@dataclass(frozen=True, eq=False)
class Answers:
    """What models answered, and how their training went.

    Attributes:
        phi: Logit-scaled confidence in the true class [logit].
        is_in: Whether each model was trained on each record.
        training_accuracy: Of each model on its own records, in the first query.
        test_accuracy: Of each on the others.
        epochs: Of each.
        seconds: Wall time of training and asking.
    """

    phi: Float[np.ndarray, "model record query"]
    is_in: Bool[np.ndarray, "model record"]
    training_accuracy: Float[np.ndarray, " model"]
    test_accuracy: Float[np.ndarray, " model"]
    epochs: Float[np.ndarray, " model"]
    seconds: float


def as_they_are(inputs: np.ndarray) -> Iterator[np.ndarray]:
    yield inputs


def mirrored_and_shifted(images: np.ndarray) -> Iterator[np.ndarray]:
    """The image first, then shifted by up to a pixel, then all of these mirrored: 18 queries.

    Source:
        Carlini et al. 2022, published code: 2 (2s + 1)^2 views of the reflected image for s = 1.
    """
    height, width = images.shape[1:3]
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    shifts = sorted(((down, right) for down in range(3) for right in range(3)), key=lambda at: at != (1, 1))
    for step in (1, -1):
        for down, right in shifts:
            yield np.ascontiguousarray(padded[:, down : down + height, right : right + width][:, :, ::step])


def train_and_ask(
    recipe: TorchRecipe,
    records: Records,
    is_in: Bool[np.ndarray, "model record"],
    *,
    seed: int,
    strategy: Strategy,
    views: Views = as_they_are,
    validation: Records | None = None,
    progress: Callable[[str], object] = lambda _: None,
) -> Answers:
    """Train a model on each row and ask it about every record.

    With validation records, for a rule of stopping, models of the same size train as one stack.
    """
    begun = time.perf_counter()
    n_models = len(is_in)
    phi: list[np.ndarray] = [np.empty(0)] * n_models
    accuracies, epochs = np.empty((2, n_models)), np.empty(n_models)
    queries = [torch.from_numpy(view) for view in views(np.asarray(records.inputs))]
    done = 0
    for group in groups_of(recipe, is_in, strategy):
        seeds = [int(stream(seed, f"experiment, model {i}").integers(2**31)) for i in group]
        if validation is None:
            models = train_group(recipe, records, is_in[group], seeds, strategy)
        else:
            models = iter(train_stack(recipe, records, is_in[group], seeds=seeds, validation=validation))
        for i, model in zip(group, models, strict=True):
            if isinstance(model, Exception):
                raise model
            phi[i], right = _asked(model, queries, np.asarray(records.labels))
            accuracies[:, i], epochs[i] = (right[is_in[i]].mean(), right[~is_in[i]].mean()), model.epoch
            done += 1
            progress(f"{done} of {n_models} models, {time.perf_counter() - begun:.0f} s, {model.epoch} epochs, "
                     f"accuracy {accuracies[0, i]:.3f} and {accuracies[1, i]:.3f}")  # fmt: skip
    return Answers(np.stack(phi), is_in, accuracies[0], accuracies[1], epochs, time.perf_counter() - begun)


def in_pairs(n_models: int, n_records: int) -> Bool[np.ndarray, "model record"]:
    return complementary_pairs(n_models, n_records, seed=0)


def _asked(model: Model, queries: list[torch.Tensor], labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    found, right = [], np.empty(0, dtype=bool)
    for number, inputs in enumerate(queries):
        with torch.inference_mode():
            logits = torch.cat([model.classifier(part) for part in inputs.split(_BATCH)]).numpy()
        found.append(phi_from_logits(logits, labels).astype(np.float32))
        right = logits.argmax(axis=1) == labels if number == 0 else right
    return np.stack(found, axis=1), right


def kept(folder: Path | None, name: str, make: Callable[[], Answers]) -> Answers:
    """Answers from a folder, or made and put there: they are megabytes, and no part of the repository."""
    if folder is None:
        return make()
    path = folder / f"{name}.npz"
    if not path.exists():
        answers = make()
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(path, **vars(answers))
    with np.load(path) as stored:
        fields = {field: stored[field] for field in Answers.__dataclass_fields__}
    return Answers(**{**fields, "seconds": float(fields["seconds"])})
