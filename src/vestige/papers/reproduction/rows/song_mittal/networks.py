"""Figure 4 and appendix D: the risk score across networks; Table 5: with access to gradients; appendix A: images."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from torch import nn

from vestige.auditing.audit import audit
from vestige.auditing.querying.settings import Querying
from vestige.core.progress import silent
from vestige.core.recipe import Model
from vestige.core.records import Records
from vestige.data.sets.paper_designs import known_half
from vestige.papers import song_mittal
from vestige.papers.reproduction.playing import accuracy_of, predictions_of, rate_of, rates_of, rows_of, short
from vestige.papers.reproduction.row import Scale
from vestige.papers.reproduction.rows.song_mittal.attacked import METRICS, NETWORK, by_tenths, measured, risk_audit
from vestige.papers.reproduction.rows.song_mittal.settings import EXTRAS, HALVES, SPLITS, permuted, small_recipe
from vestige.training.torch_recipe import TorchRecipe

LIMIT = 0.09
"""What all errors of calibration in figure 4 are said to be below."""
N_GRADIENTS = {Scale.SMOKE: 40, Scale.LAPTOP: 500}
"""Records of each side whose gradients are asked for; all at the scale `paper`."""


@dataclass(frozen=True)
class Variant:
    """A network of figure 4, which writes it (activation, width, depth).

    Attributes:
        activation: Between layers.
        width: Factor of the neurons.
        depth: Hidden layers.
    """

    activation: type[nn.Module] = nn.Tanh
    width: float = 1.0
    depth: int = 4

    def __str__(self) -> str:
        """As figure 4 writes it."""
        return f"{self.activation.__name__}, {self.width:g}, {self.depth}"


def _around(first: type[nn.Module], *others: type[nn.Module]) -> tuple[Variant, ...]:
    """Depths and widths with one activation, then other activations."""
    sizes = (Variant(first), Variant(first, depth=3), Variant(first, depth=5), Variant(first, 0.5), Variant(first, 2.0))
    return (*sizes, *map(Variant, others))


def _variants(recipe: Callable[..., TorchRecipe], of_figure: tuple[Variant, ...]) -> dict[str, TorchRecipe]:
    return {str(one): recipe(activation=one.activation, width=one.width, depth=one.depth) for one in of_figure}


VARIANTS: Mapping[str, Mapping[str, TorchRecipe]] = {
    "purchase100": _variants(song_mittal.purchase_recipe, _around(nn.Tanh, nn.ReLU, nn.Sigmoid)),
    "texas100": _variants(song_mittal.texas_recipe, _around(nn.ReLU, nn.Tanh)),
    "cifar100": {name: song_mittal.cifar100_recipe(network) for name, network in song_mittal.CIFAR100_NETWORKS.items()},
    **{
        data: _variants(functools.partial(small_recipe, data), _around(nn.Tanh, nn.ReLU, nn.Sigmoid)) for data in EXTRAS
    },
}
"""How the networks of figure 4 are trained, by their names in its legends; sigmoids learn nothing on Texas100."""


@dataclass(frozen=True)
class Half:
    """Records of one trial, of which the adversary knows half.

    Attributes:
        members: Records that are trained on.
        known: Members and nonmembers that the adversary knows.
        attacked: Those that it attacks.
    """

    members: Records
    known: tuple[Records, Records]
    attacked: tuple[Records, Records]

    def risk_of(self, name: str, model: Model) -> dict[str, float]:
        """Return how well the risk score of a model is calibrated, in the published form."""
        found = risk_audit(predictions_of(model, *self.attacked), predictions_of(model, *self.known))
        assert found.risk is not None
        risk, member = found.records["risk"].to_numpy(dtype=np.float64), found.records["member"].to_numpy(dtype=bool)
        return {f"{name}: risk, error of calibration": found.risk.rmse, **by_tenths("risk", name, risk, member)}


def half_of(data: str, records: Records, scale: Scale, seed: int) -> Half:
    """Draw the records of a trial."""
    split = SPLITS[data](permuted(records, seed, data))
    half = known_half(split.members[: split.evaluation.size], split.evaluation, seed=100 + seed)
    sides = (half.known_members, half.known_nonmembers, half.attacked_members, half.attacked_nonmembers)
    known_in, known_out, attacked_in, attacked_out = (rows_of(records, rows, scale) for rows in sides)
    members = rows_of(records, split.members, scale)
    return Half(members, (known_in, known_out), (attacked_in, attacked_out))


def variants_trial(data: str, records: Records, scale: Scale, seed: int) -> dict[str, float]:
    """Networks of other depths, widths and activations without a defence, as in figure 4."""
    half, found = half_of(data, records, scale, seed), {"limit": LIMIT}
    for name, recipe in VARIANTS[data].items():
        found |= half.risk_of(name, short(recipe, scale).fit(half.members, seed=seed))
    return found


def defended_variants_trial(data: str, records: Records, scale: Scale, seed: int) -> dict[str, float]:
    """The same networks with adversarial regularisation, as appendix D announces."""
    half, found = half_of(data, records, scale, seed), {"limit": LIMIT}
    reference = SPLITS[data](permuted(records, seed, data)).reference
    defended = HALVES[data].defended(rows_of(records, reference, scale))
    for name, recipe in VARIANTS[data].items():
        how = replace(defended, base=short(replace(defended.base, network=recipe.network), scale))
        found |= half.risk_of(name, how.fit(half.members, seed=seed))
    return found


def gradients_trial(recipe: TorchRecipe, data: str, records: Records, scale: Scale, seed: int) -> dict[str, float]:
    """Networks that read gradients, networks that read answers, and metrics, on one model; Table 5.

    The adversary knows half of the attacked records. Networks decide at their own threshold.
    """
    split = SPLITS[data](permuted(records, seed, data))
    members, held_out = (rows_of(records, rows, scale) for rows in (split.members, split.evaluation))
    model = short(recipe, scale).fit(members, seed=seed)
    n = N_GRADIENTS.get(scale, members.n_records)
    some = np.arange(min(n, members.n_records, held_out.n_records))
    found = audit(
        model.classifier, members.take(some), held_out.take(some),
        attacks=(*METRICS, NETWORK, "white_box_gradient"), querying=Querying(access="gradients"), progress=silent,
    )  # fmt: skip
    return {
        "training accuracy": accuracy_of(model, members),
        "test accuracy": accuracy_of(model, held_out),
        "white-box network": rate_of(found, "white_box_gradient", "natural"),
        "black-box network": rate_of(found, NETWORK, "natural"),
        **rates_of(found, METRICS[:1], "known_half_global"),
        **rates_of(found, METRICS[1:], "known_half_per_class"),
    }


def images_trial(
    recipe: Callable[[], TorchRecipe], n_members: int, records: Records, scale: Scale, seed: int
) -> dict[str, float]:
    """Metrics and the network on one more set of images, of whose records the adversary knows half; appendix A."""
    order = permuted(records, seed, "images")
    members, others = order[:n_members], order[n_members:]
    split = known_half(members[: others.size], others, seed=100 + seed)
    known = [rows_of(records, rows, scale) for rows in (split.known_members, split.known_nonmembers)]
    attacked = [rows_of(records, rows, scale) for rows in (split.attacked_members, split.attacked_nonmembers)]
    trained_on, held_out = rows_of(records, members, scale), rows_of(records, others, scale)
    model = short(recipe(), scale).fit(trained_on, seed=seed)
    return {
        "none: training accuracy": accuracy_of(model, trained_on),
        "none: test accuracy": accuracy_of(model, held_out),
        **measured("none", predictions_of(model, *attacked), predictions_of(model, *known)),
    }
