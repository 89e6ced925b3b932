"""What Watson et al.'s trials have in common: quarters, references in two ways, and thresholds in three."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from vestige.auditing.audit import audit
from vestige.auditing.finished import FinishedAudit
from vestige.auditing.querying.settings import Querying
from vestige.auditing.scoring.public_threshold import UNTUNED
from vestige.auditing.shadows.auxiliary_references import (
    references_by_forgetting,
    references_from_models,
    references_from_scratch,
)
from vestige.core.progress import silent
from vestige.core.recipe import Model
from vestige.core.records import Records
from vestige.core.references import References
from vestige.core.views import Views
from vestige.data.sets.paper_designs import watson_public_game, watson_quarters
from vestige.evaluation.thresholds import balanced_accuracy_threshold
from vestige.papers import watson
from vestige.papers.reproduction.playing import rate_of, rows_of, short
from vestige.papers.reproduction.row import Scale
from vestige.training.classifier import Classifier
from vestige.training.torch_recipe import TorchRecipe, cross_entropy


@dataclass(frozen=True, kw_only=True, eq=False)
class Quarters:
    """Records of one split, and how the target is trained.

    Attributes:
        recipe: How.
        members: The target's.
        nonmembers: The private others.
        public: Public records that a reference is trained on, or a model that plays the target.
        public_others: The other public records.
        spare: The half of these that the playing model's reference is trained on.
        simulated: The other half: the playing model's nonmembers.
        validation: Records for the accuracy of a test.
        n_asked: Records of each side that models are asked about, at most.
    """

    recipe: TorchRecipe
    members: Records
    nonmembers: Records
    public: Records
    public_others: Records
    spare: Records
    simulated: Records
    validation: Records
    n_asked: int

    @property
    def private(self) -> tuple[Records, Records]:
        """Both sides of the audit."""
        return self._some(self.members), self._some(self.nonmembers)

    @property
    def game(self) -> tuple[Records, Records]:
        """Both sides of the game in which thresholds are set."""
        return self._some(self.public), self._some(self.simulated)

    @property
    def swapped(self) -> tuple[Records, Records]:
        """Both sides of that game where the target is the reference."""
        return self._some(self.public), self._some(self.public_others)

    def _some(self, side: Records) -> Records:
        if side.n_records <= self.n_asked:
            return side
        return side.take(np.sort(np.random.default_rng(0).choice(side.n_records, self.n_asked, replace=False)))


EVERYBODY = 10**9


def quarters_of(
    n_pool: int, recipe: TorchRecipe, records: Records, scale: Scale, seed: int, *, n_asked: int = EVERYBODY
) -> Quarters:
    """Draw a split into quarters; what comes after the pool is for validation, a quarter of the pool at most."""
    split = watson_quarters(n_pool, seed=seed)
    game = watson_public_game(split, seed=seed)
    rest = np.arange(n_pool, records.n_records)
    rest = rest if rest.size <= n_pool else rest[-(n_pool // 4) :]
    return Quarters(
        recipe=short(recipe, scale),
        members=rows_of(records, split.members, scale),
        nonmembers=rows_of(records, split.nonmembers, scale),
        public=rows_of(records, game.members, scale),
        public_others=rows_of(records, split.public_nonmembers, scale),
        spare=rows_of(records, game.reference, scale),
        simulated=rows_of(records, game.nonmembers, scale),
        validation=rows_of(records, rest if rest.size else np.flatnonzero(split.public_nonmembers), scale),
        n_asked=n_asked,
    )


def part_of(records: Records, n_train: int, n_pool: int) -> Records:
    """Return records of the pool that are drawn once for all trials, in random order, and those for tests after them.

    Args:
        records: Of a set, those for training first.
        n_train: How many these are.
        n_pool: How many of them are drawn.
    """
    order = np.random.default_rng(0).permutation(n_train)[:n_pool]
    test = np.random.default_rng(1).permutation(np.arange(n_train, records.n_records))[: n_pool // 4]
    return records.take(np.concatenate([order, test]))


Maker = Callable[[Model, Quarters, Records, tuple[Records, Records], bool, Views | None], References]
"""From the model that is calibrated, the split, a reference's records and those that are asked about to references."""


def from_scratch(
    _: Model, of: Quarters, auxiliary: Records, sides: tuple[Records, Records], gradients: bool, views: Views | None
) -> References:
    """A reference of new weights, to the peak of validation accuracy."""
    return references_from_scratch(
        watson.reference_recipe(of.recipe), auxiliary, *sides,
        validation=of.validation, gradient_norms=gradients, views=views,
    )  # fmt: skip


def by_forgetting(
    model: Model, of: Quarters, auxiliary: Records, sides: tuple[Records, Records], gradients: bool, views: Views | None
) -> References:
    """A reference that begins with the model's weights, to the peak of validation accuracy."""
    further = watson.reference_recipe(watson.forgetting_recipe(of.recipe))
    return references_by_forgetting(
        model.classifier, further, auxiliary, *sides,
        validation=of.validation, gradient_norms=gradients, views=views,
    )  # fmt: skip


SCORES = {
    "loss": ("loss", "calibration_loss"),
    "gradient norm": ("gradient_norm", "calibration_gradient_norm"),
    "confidence": ("max_confidence", "calibration_confidence"),
}
"""Watson et al.'s scores, and what they are called in an audit: plain, and calibrated."""

WAYS: Mapping[str, Maker] = {"calibrated": from_scratch, "forgetting": by_forgetting}


@dataclass(frozen=True, kw_only=True)
class Played:
    """Which scores are played, and how models are asked.

    Attributes:
        scores: What they are called in an audit, plain and calibrated, by the paper's names.
        querying: How models are asked.
    """

    scores: Mapping[str, tuple[str, str]]
    querying: Querying

    @property
    def gradients(self) -> bool:
        """Whether references are asked for gradients."""
        return str(self.querying.access) == "gradients"

    def audited(
        self,
        model: Model,
        sides: tuple[Records, Records],
        references: References,
        *,
        plain: bool,
        more: Sequence[str] = (),
    ) -> FinishedAudit:
        """Audit a model with a reference: the calibrated scores, and the plain ones if these are not known yet."""
        names = [name for pair in self.scores.values() for name in (pair if plain else pair[1:])]
        return audit(
            model.classifier, *sides, adversary=references, attacks=[*names, *more], querying=self.querying,
            progress=silent,
        )  # fmt: skip


def calibrated_game(played: Played, of: Quarters, target: Model, simulator: Model) -> dict[str, float]:
    """Return AUC of every score, and accuracies at the public threshold, by role swap, just above 0, and at the best.

    Thresholds are set on public records alone: a model of the public members plays the target. A model of half of the
    public nonmembers calibrates it, and the other half are its nonmembers; by role swap the target itself does, which
    saw none of them.
    """
    found: dict[str, float] = {}
    views, sides = played.querying.views, of.game
    for way, make in WAYS.items():
        plain = not found
        ours = make(target, of, of.public, of.private, played.gradients, views)
        theirs = make(simulator, of, of.spare, sides, played.gradients, views)
        mine = played.audited(target, of.private, ours, plain=plain, more=("correctness",) if plain else ())
        known = played.audited(simulator, sides, theirs, plain=plain)
        if plain:
            gap = sides_of(mine, "correctness")
            found |= {"AUC: gap": rate_of(mine, "correctness", "roc", "auc"), "accuracy: gap": accuracy(*gap, 0.5)}
        for score, names in played.scores.items():
            if plain:
                found |= _numbers(mine, known, names[0], score)
            found |= _numbers(mine, known, names[1], f"{score}, {way}")
            scores = sides_of(mine, names[1])
            found[f"accuracy, threshold {UNTUNED:g}: {score}, {way}"] = accuracy(*scores, UNTUNED)
        if plain:
            found |= _role_swap(played, of, target, simulator, mine, way)
            found |= _before_softmax(played, of, target, ours)
    return found


def _before_softmax(played: Played, of: Quarters, target: Model, references: References) -> dict[str, float]:
    """AUC of the gradient norm of the same networks without the softmax that they end with, if they end with one."""
    inner = before_softmax(target)
    if inner is target or not played.gradients:
        return {}
    models = [before_softmax(Model(model, target.n_classes, seed=0)).classifier for model in references.classifiers]
    asked = references_from_models(models, *of.private, gradient_norms=True)
    names = SCORES["gradient norm"]
    found = audit(
        inner.classifier, *of.private, adversary=asked, attacks=names, querying=played.querying, progress=silent
    )
    labels = ("gradient norm, single softmax", "gradient norm, single softmax, calibrated")
    return {f"AUC: {label}": rate_of(found, name, "roc", "auc") for label, name in zip(labels, names, strict=True)}


def _role_swap(
    played: Played, of: Quarters, target: Model, simulator: Model, mine: FinishedAudit, way: str
) -> dict[str, float]:
    """Accuracies at thresholds of the playing model calibrated by the target."""
    sides = of.swapped
    swapped = references_from_models(
        [target.classifier], *sides, gradient_norms=played.gradients, views=played.querying.views
    )
    known = played.audited(simulator, sides, swapped, plain=False)
    return {
        f"accuracy, role swap: {score}, {way}": accuracy(
            *sides_of(mine, calibrated), balanced_accuracy_threshold(*sides_of(known, calibrated))
        )
        for score, (_, calibrated) in played.scores.items()
    }


def _numbers(mine: FinishedAudit, known: FinishedAudit, attack: str, label: str) -> dict[str, float]:
    own, simulated = sides_of(mine, attack), sides_of(known, attack)
    return {
        f"AUC: {label}": rate_of(mine, attack, "roc", "auc"),
        f"accuracy: {label}": accuracy(*own, balanced_accuracy_threshold(*simulated)),
        f"accuracy, best threshold: {label}": rate_of(mine, attack, "oracle"),
    }


def sides_of(found: FinishedAudit, attack: str) -> tuple[np.ndarray, np.ndarray]:
    """Scores of members and of nonmembers."""
    member = found.records["member"].to_numpy(dtype=bool)
    scores = found.records[attack].to_numpy(dtype=np.float64)
    return scores[member], scores[~member]


def accuracy(members: np.ndarray, nonmembers: np.ndarray, threshold: float) -> float:
    """Balanced accuracy of "member iff score >= threshold"."""
    return float(np.mean(members >= threshold) + np.mean(nonmembers < threshold)) / 2


class CentredSoftmax(nn.Module):
    """A softmax less its mean: as logits these are the same as the softmax, and nobody takes them for probabilities."""

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        """Logits -> other logits."""
        return logits.softmax(dim=1) - 1 / logits.shape[1]


def _with_softmax(network: Callable[[], nn.Module]) -> nn.Module:
    return nn.Sequential(network(), CentredSoftmax())


def as_released(recipe: TorchRecipe) -> TorchRecipe:
    """Return a recipe whose network ends with a softmax, and whose loss takes another: so the released code does.

    Every score of an audit is then that of the doubled softmax too, gradient norms included.
    """
    return replace(recipe, network=functools.partial(_with_softmax, recipe.network), loss=cross_entropy)


def before_softmax(model: Model) -> Model:
    """Return the model without the softmax that its network ends with; a model without one as it is."""
    classifier = model.classifier
    network = classifier.network if isinstance(classifier, Classifier) else None
    if not (isinstance(network, nn.Sequential) and isinstance(network[-1], CentredSoftmax)):
        return model
    inner = Classifier(network[0], classifier.preprocess, classifier.evaluation_mode)
    return replace(model, classifier=inner.ready())
