"""`ReferenceTraining`: reference models as a setting of an audit, of new weights or by forgetting."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from vestige.auditing.shadows.auxiliary_references import (
    ReferenceOptions,
    references_by_forgetting,
    references_from_scratch,
)
from vestige.core.errors import InputError
from vestige.core.progress import Progress
from vestige.core.recipe import Model, Recipe
from vestige.core.records import Records
from vestige.core.references import References
from vestige.core.schema import set_choices
from vestige.core.views import Views
from vestige.targets.opening import open_target


class Beginning(StrEnum):
    """What reference models begin with."""

    SCRATCH = "scratch"
    """New weights."""
    FORGETTING = "forgetting"
    """The audited model's weights: they are trained until they have forgotten its members."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ReferenceTraining:
    """An adversary that trains reference models on records of its own, none of which is audited.

    Attributes:
        recipe: How each is trained.
        records: The adversary's records, with ids.
        validation: Records for the accuracy of a test, and for a rule of stopping that needs some; none audited.
        by: What the models begin with.
        n_models: How many.
        share: Share of the records that each is trained on, drawn for each anew.
        others: Recipes beside the first, such as with other rates and batches. Of all of them that one is taken whose
            first model comes nearest to the audited one in the accuracies of training and test: no attack has a say.

    Raises:
        InputError: There are others to choose from and no validation records.

    Example:
        >>> from sklearn.naive_bayes import GaussianNB
        >>> from vestige import SklearnRecipe
        >>> records = Records([[0.0], [0.1], [1.0], [1.1]], [0, 0, 1, 1], ids=[1, 2, 3, 4])
        >>> str(ReferenceTraining(recipe=SklearnRecipe(GaussianNB()), records=records).by)
        'scratch'

    Source:
        Watson et al. 2022, section 4.1: rates and batches of references by forgetting are tuned until their training
        and test accuracies resemble the target's.
    """

    recipe: Recipe
    records: Records
    validation: Records | None = None
    by: Beginning | str = Beginning.SCRATCH
    n_models: int = 1
    share: float = 1.0
    others: Sequence[Recipe] = ()

    def __post_init__(self) -> None:
        set_choices(self, by=Beginning)
        if self.others and self.validation is None:
            raise InputError(
                "Expected validation records to choose among recipes of references by their accuracies, found none; "
                "give some, or one recipe."
            )

    def trained(
        self,
        target: Any,
        audited: tuple[Records, Records],
        *,
        gradient_norms: bool,
        views: Views | None,
        seed: int,
        progress: Progress,
    ) -> References:
        """Train the models, and ask them about the audited records.

        Args:
            target: The audited model.
            audited: Members and nonmembers.
            gradient_norms: Whether gradients are observed too.
            views: Changed copies that are asked about too.
            seed: Of the models and draws.
            progress: Told after every model.

        Raises:
            InputError: A record is on both sides, records have no ids, or the target cannot be trained further.
            TrainingError: A model failed.
        """
        options: ReferenceOptions = {
            "n_models": self.n_models,
            "share": self.share,
            "validation": self.validation,
            "gradient_norms": gradient_norms,
            "views": views,
            "seed": seed,
            "progress": progress,
        }
        recipe = self.recipe if not self.others else self._nearest(target, audited[0], seed)
        if self.by is Beginning.FORGETTING:
            return references_by_forgetting(target, recipe, self.records, *audited, **options)
        return references_from_scratch(recipe, self.records, *audited, **options)

    def _nearest(self, target: Any, members: Records, seed: int) -> Recipe:
        """The recipe whose model is right about its own records, and about those for validation, as the target is."""
        assert self.validation is not None
        wanted = _accuracy(target, members), _accuracy(target, self.validation)
        start = Model(target, members.n_classes, seed=seed) if self.by is Beginning.FORGETTING else None
        far = []
        for recipe in (self.recipe, *self.others):
            model = recipe.fit(self.records, seed=seed, start=start, validation=self.validation).classifier
            found = _accuracy(model, self.records), _accuracy(model, self.validation)
            far.append(sum(abs(a - b) for a, b in zip(found, wanted, strict=True)))
        return (self.recipe, *self.others)[far.index(min(far))]


def _accuracy(model: Any, records: Records) -> float:
    answers = open_target(model, records.n_classes).answers(records.inputs).whole()
    return float((answers.argmax(axis=1) == records.labels).mean())
