"""Transfer learning: a network that begins with the layers of one that was trained on other records."""

import functools
import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from vestige.core.errors import InputError, OutputError, UnsupportedModelError
from vestige.core.messages import brief, few
from vestige.core.recipe import Model
from vestige.core.records import Records
from vestige.training.bank import KEY, default_folder
from vestige.training.classifier import Classifier
from vestige.training.identity import identity_of

_CURE = "give a file that vestige.training.pretrained.save_weights wrote"


class Trainable(StrEnum):
    """Which layers of a pretrained network are trained further.

    Attributes:
        LAST: The new head alone. What comes before it, the body, keeps its weights and its batch statistics.
        ALL: The whole network, from the pretrained weights on.
    """

    LAST = "last layer"
    ALL = "all layers"


@dataclass(frozen=True, eq=False)
class Pretrained:
    """The `network` of a torch recipe that begins with pretrained weights, but for its last layer, which is new.

    The head is the last layer with weights, in the order in which layers are registered; every model draws its own.
    What a frozen body draws by chance, as dropout does, it goes on drawing in training.

    Attributes:
        network: Makes an untrained network of the new classes; called without arguments.
        weights: A safetensors file of the same network, perhaps with a head of other classes, which is not read; or a
            model of a bank: its folder, or its key in the default bank.
        trainable: What is trained.
        records: Those that the weights were trained on, if they are at hand: audits refuse them among their own.
        digest: SHA-256 of the file.

    Raises:
        InputError: There is no such file, or it holds no tensors. Called: they are not those of the network.

    Example:
        >>> import tempfile, numpy as np
        >>> from vestige.training.torch_recipe import TorchRecipe
        >>> def network(n_classes):
        ...     return nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, n_classes))
        >>> source = Records(np.eye(2, dtype=np.float32), [0, 1])
        >>> model = TorchRecipe(functools.partial(network, 2), epochs=1).fit(source, seed=0)
        >>> file = save_weights(model, Path(tempfile.mkdtemp()) / "source.safetensors")
        >>> begun = Pretrained(functools.partial(network, 5), file, trainable=Trainable.LAST, records=source)()
        >>> bool((begun[0].weight == model.classifier.network[0].weight).all()), begun[2]
        (True, Linear(in_features=3, out_features=5, bias=True))

    Source:
        Choquette-Choo et al. 2021, section 6: last layer and full fine-tuning, from all of CIFAR-100. Their code
        freezes nothing, and gives the weights to the target alone.
    """

    network: Callable[[], nn.Module]
    weights: str | os.PathLike[str]
    _: KW_ONLY
    trainable: Trainable
    records: Records | None = None
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        file = _file_of(self.weights)
        object.__setattr__(self, "weights", file)
        object.__setattr__(self, "digest", hashlib.sha256(_content(file)).hexdigest())
        _tensors(file, self.digest)

    def __call__(self) -> nn.Module:
        """Return a new network; its head is drawn from torch's global random stream."""
        network, file = self.network(), Path(self.weights)
        name, head = _head_of(network)
        given, own = _tensors(file, self.digest), network.state_dict()
        body = {n: weight for n, weight in own.items() if not n.startswith(f"{name}.")}
        wrong = [f"{n} of shape {tuple(given[n].shape)}" for n in body if n in given and given[n].shape != own[n].shape]
        wrong += [f"no {n}" for n in body if n not in given]
        wrong += [f"also {n}" for n in given if n not in body and not n.startswith(f"{name}.")]
        if wrong:
            raise InputError(
                f"Expected in {file.name} the weights of {type(network).__name__} before its head, {name}, found "
                f"{few(wrong, 3)}; {_CURE}, of the same network but for its head."
            )
        network.load_state_dict({n: given[n] for n in body}, strict=False)
        if self.trainable == Trainable.LAST:
            _freeze(network, head)
        return network

    def identity(self) -> Mapping[str, Any]:
        """Return what decides the network that a training begins with: the weights by their digest."""
        of_records = {} if self.records is None else {"records": self.records.digest}
        begun = {"pretrained": self.digest, "trainable": str(self.trainable)}
        return {**begun, **of_records, "network": identity_of(self.network)}


def save_weights(model: Model, file: str | os.PathLike[str]) -> Path:
    """Write the weights of a torch model as safetensors, for `Pretrained`; return the file.

    Raises:
        UnsupportedModelError: It is no torch model.
        OutputError: It cannot be written.
    """
    from safetensors.torch import save

    if not isinstance(model.classifier, Classifier):
        found = type(model.classifier).__name__
        raise UnsupportedModelError(f"Expected a model of a TorchRecipe, found {found}; train one with its fit.")
    path = Path(file)
    try:
        path.write_bytes(save(weights_of(model.classifier.network)))
    except OSError as error:
        raise OutputError(f"Expected to write weights to {path}, found {error.strerror}; give another file.") from None
    return path


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """Return copies of all weights and buffers, because tensors that share memory cannot be written.

    Raises:
        UnsupportedModelError: The network keeps something else.
    """
    kept = network.state_dict()
    others = [name for name, value in kept.items() if not isinstance(value, Tensor)]
    if others:
        raise UnsupportedModelError(
            f"Expected a network that keeps tensors alone, found {few(others, 3)}; keep such state as buffers."
        )
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in kept.items()}


def weights_file(epoch: int) -> str:
    """Return the name of the file of a model's weights in a bank."""
    return f"weights-epoch-{epoch}.safetensors"


def _file_of(weights: str | os.PathLike[str]) -> Path:
    path = (default_folder() / weights if KEY.fullmatch(str(weights)) else Path(weights)).absolute()
    of_epochs = {int(p.stem.rpartition("-")[2]): p for p in path.glob(weights_file(0).replace("0", "*"))}
    return of_epochs[max(of_epochs)] if of_epochs else path


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(f"Expected pretrained weights in {file}, found {error.strerror}; {_CURE}.") from None


@functools.lru_cache(maxsize=2)  # all models of an audit begin with the same
def _tensors(file: Path, digest: str) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    content = _content(file)
    if hashlib.sha256(content).hexdigest() != digest:
        raise InputError(
            f"Expected the weights in {file.name} as they were when the recipe was made, found others; make it again."
        )
    try:
        return load(content)
    except SafetensorError as error:
        found = brief(" ".join(str(error).split()), 120)
        raise InputError(
            f"Expected tensors as safetensors in {file.name}, found something else ({found}); {_CURE}."
        ) from None


def _head_of(network: nn.Module) -> tuple[str, nn.Linear]:
    layers = [
        (n, layer) for n, layer in network.named_modules() if next(layer.parameters(recurse=False), None) is not None
    ]
    name, head = layers[-1] if layers else ("", network)
    if not isinstance(head, nn.Linear) or len(layers) < 2:
        found = f"{type(head).__name__} as the last of {len(layers)}"
        raise InputError(
            "Expected a pretrained network of two or more layers with weights, the last of them linear, found "
            f"{found}; register its head last."
        )
    return name, head


class Still(nn.Module):
    """What a layer becomes that keeps its statistics: it is in evaluation mode whatever its network is in."""

    def train(self, mode: bool = True) -> "Still":
        """Set the mode of the layers inside it alone."""
        super().train(mode)
        self.training = False
        return self


@functools.cache  # models of a stack must be of one class
def _still(kind: type[nn.Module]) -> type[nn.Module]:
    return type(kind.__name__, (Still, kind), {})


def _freeze(network: nn.Module, head: nn.Module) -> None:
    network.requires_grad_(False)
    head.requires_grad_(True)
    for layer in network.modules():
        if next(layer.buffers(recurse=False), None) is not None:
            kind: Any = type(layer)
            layer.__class__ = _still(kind)  # no layer around it: weights keep their names
            layer.train(False)
