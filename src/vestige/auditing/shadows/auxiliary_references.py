"""Reference models of an adversary who has records of its own: trained from new weights, or by forgetting."""

from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass
from typing import Any, TypedDict, Unpack

import numpy as np

from vestige.core.errors import InputError, UnsupportedModelError
from vestige.core.ids import id_texts
from vestige.core.messages import few
from vestige.core.outputs import Logits, Probabilities
from vestige.core.progress import Progress, silent
from vestige.core.recipe import Model, Recipe
from vestige.core.records import Records, joined
from vestige.core.references import References
from vestige.core.seeds import stream
from vestige.core.targets import GradientModel
from vestige.targets.opening import open_target


class ReferenceOptions(TypedDict, total=False):
    """How many reference models are trained, and how; all of it may be left out.

    Attributes:
        n_models: How many, 1 if omitted; of all auxiliary records they differ by their seeds alone.
        share: Share of the auxiliary records that each is trained on, drawn for each anew; 1 if omitted.
        validation: Records for a rule of stopping that needs some; none of them audited.
        gradient_norms: Whether to observe gradients too; needs torch models.
        seed: Of the models' seeds and of the draws; 0 if omitted.
        progress: Told after every model.
    """

    n_models: int
    share: float
    validation: Records | None
    gradient_norms: bool
    seed: int
    progress: Progress


def references_from_scratch(
    recipe: Recipe, auxiliary: Records, members: Records, nonmembers: Records, **options: Unpack[ReferenceOptions]
) -> References:
    """Train models on records that are not audited, from new weights, and ask them about those that are.

    None of them has seen an audited record, so `audit(..., references=...)` plays with them what needs OUT models only.

    Args:
        recipe: How each is trained. With a rule of stopping that needs validation records, those must be given.
        auxiliary: The adversary's records, with ids, none of them among the audited ones.
        members: The audited records, as they will be given to `audit`: with ids.
        nonmembers: The others.
        options: `n_models`, `share`, `validation`, `gradient_norms`, `seed` and `progress`: see `ReferenceOptions`.

    Raises:
        InputError: A record, or a subject, is on both sides, records have no ids, or the recipe cannot use them.
        TrainingError: A model failed.
        UnsupportedModelError: Gradients were asked for of models that have none.

    Example:
        >>> from sklearn.naive_bayes import GaussianNB
        >>> from vestige import SklearnRecipe
        >>> def some(ids):
        ...     return Records(np.random.default_rng(ids[0]).normal(size=(4, 2)), [0, 1, 0, 1], ids=ids)
        >>> recipe = SklearnRecipe(GaussianNB())
        >>> found = references_from_scratch(recipe, some([0, 1, 2, 3]), some([4, 5, 6, 7]), some([8, 9, 10, 11]))
        >>> found.n_models, found.n_records, bool(found.member.any())
        (1, 8, False)

    Source:
        Watson et al. 2022, section 4.1; several models, each of a subsample, as in their section 4.3.
    """
    return _References(recipe, auxiliary, members, nonmembers, None, **options).trained()


def references_by_forgetting(
    model: Any,
    recipe: Recipe,
    auxiliary: Records,
    members: Records,
    nonmembers: Records,
    **options: Unpack[ReferenceOptions],
) -> References:
    """Train the target itself further on records that are not audited, until it has forgotten, and ask these models.

    Stopped too early they are the target, and every calibrated score is near 0; trained for too long they are models
    of new weights. So `training` of what is returned says how well they, and the target, know their own records and
    the audited ones: members' accuracy should have come down to that of nonmembers.

    Args:
        model: The audited torch module, of the recipe's network; it stays as it is.
        recipe: How it is trained further; its optimiser and its schedule begin anew. See `papers.p4.forgetting_recipe`.
        auxiliary: As of `references_from_scratch`, like all that follows.
        members: The audited records.
        nonmembers: The others.
        options: As of `references_from_scratch`.

    Raises:
        InputError: As of `references_from_scratch`; or the recipe has another network, or cannot start from a model.
        TrainingError: A model failed.
        UnsupportedModelError: The target is no classifier that could be asked.

    Example:
        >>> import functools
        >>> from torch import nn
        >>> from vestige import TorchRecipe
        >>> def some(ids):
        ...     return Records(np.random.default_rng(ids[0]).normal(size=(4, 2)), [0, 1, 0, 1], ids=ids)
        >>> recipe = TorchRecipe(functools.partial(nn.Linear, 2, 2), epochs=2)
        >>> members, others, auxiliary = some([0, 1, 2, 3]), some([4, 5, 6, 7]), some([8, 9, 10, 11])
        >>> target = recipe.fit(members, seed=0).classifier
        >>> references_by_forgetting(target, recipe, auxiliary, members, others).by_forgetting
        True

    Source:
        Watson et al. 2022, section 3, calibration via forgetting. Deviation: their code continues the optimiser's
        state and its schedule as well, which a model that is handed over does not have.
    """
    return _References(recipe, auxiliary, members, nonmembers, model, **options).trained()


@dataclass(frozen=True, eq=False)
class _References:
    """Reference models to be trained: from the weights of `model`, or from new ones if it is None."""

    recipe: Recipe
    auxiliary: Records
    members: Records
    nonmembers: Records
    model: Any
    _: KW_ONLY
    n_models: int = 1
    share: float = 1.0
    validation: Records | None = None
    gradient_norms: bool = False
    seed: int = 0
    progress: Progress = silent

    def trained(self) -> References:
        """Train them and ask them about the audited records, members first as an audit has them."""
        audited = joined(self.members, self.nonmembers)
        _refuse_shared("auxiliary", self.auxiliary, audited)
        if self.validation is not None:
            _refuse_shared("validation", self.validation, audited)
        everybody = joined(self.auxiliary, audited)  # with one count of classes for all
        audited = everybody.take(np.arange(self.auxiliary.n_records, everybody.n_records))
        start = None if self.model is None else Model(self.model, everybody.n_classes, self.seed)
        answers, norms, knows, epochs, classifiers = [], [], [], [], []
        kind: type[Logits] | type[Probabilities] = Logits
        draws = self._draws()
        for number, rows in enumerate(draws):
            self.progress("training reference models", number, len(draws))
            own = everybody.take(rows)
            model_seed = int(stream(self.seed, f"reference model {number}").integers(2**31))
            model = self.recipe.fit(own, seed=model_seed, start=start, validation=self.validation)
            target = open_target(model.classifier, audited.n_classes)
            found = target.answers(audited.inputs)
            kind = Logits if isinstance(found, Logits) else Probabilities
            answers.append(found.whole())
            if self.gradient_norms:
                norms.append(_norms(target, model, audited))
            own_accuracy = _accuracy(target.answers(own.inputs).whole(), own.labels)
            knows.append([own_accuracy, *self._on_both_sides(answers[-1], audited.labels)])
            epochs.append(model.epoch)
            classifiers.append(model.classifier)
        self.progress("training reference models", len(draws), len(draws))
        begun_with = "new weights" if start is None else "the target's weights"
        for_epochs = f", {np.mean(epochs):.3g} epochs on average" if any(epochs) else ""
        said = (
            f"{len(draws)} from {begun_with}, on {draws[0].size:,} of {self.auxiliary.n_records:,} records that are "
            f"not audited{for_epochs}; mean accuracy {_said(np.mean(knows, axis=0))} (their own records, the target's "
            "members, its nonmembers)"
        )
        if start is not None:
            mine = open_target(start.classifier, audited.n_classes).answers(audited.inputs).whole()
            of_target = _said(self._on_both_sides(mine, audited.labels))
            said = f"by forgetting: {said}; the target's {of_target} on the last two"
        return References(
            kind,
            np.stack(answers),
            np.zeros((len(draws), audited.n_records), dtype=bool),
            ids=audited.ids,
            labels=audited.labels,
            gradient_norms=np.stack(norms) if norms else None,
            training=said,
            by_forgetting=start is not None,
            classifiers=classifiers,
        )

    def _draws(self) -> list[np.ndarray]:
        """Which auxiliary records each model is trained on."""
        if self.n_models < 1:
            raise InputError(f"Expected at least 1 reference model, found {self.n_models}.")
        if not 0 < self.share <= 1:
            raise InputError(f"Expected a share of the auxiliary records above 0 and up to 1, found {self.share:g}.")
        n = self.auxiliary.n_records
        streams = (stream(self.seed, f"records of reference model {i}") for i in range(self.n_models))
        return [np.sort(drawn.permutation(n)[: max(1, round(self.share * n))]) for drawn in streams]

    def _on_both_sides(self, table: np.ndarray, labels: np.ndarray) -> list[float]:
        n = self.members.n_records
        return [_accuracy(table[:n], labels[:n]), _accuracy(table[n:], labels[n:])]


def _refuse_shared(name: str, others: Records, audited: Records) -> None:
    """Refuse audited records, or people, among the adversary's own: its models would not be OUT models."""
    if others.ids is None or audited.ids is None:
        raise InputError(
            f"Expected ids of the {name} records and of the audited ones, found none; give both, by which they are "
            "known to be others."
        )
    for what, one, other in (("records", others.ids, audited.ids), ("subjects", others.subjects, audited.subjects)):
        if one is None or other is None:
            continue
        shared = np.intersect1d(id_texts(one), id_texts(other))
        if shared.size:
            raise InputError(
                f"Expected {name} records that are not audited, found {shared.size:,} {what} that are, such as "
                f"{few(shared[:3].tolist())}; leave them out."
            )


def _norms(target: Any, model: Model, audited: Records) -> np.ndarray:
    if not isinstance(target, GradientModel):
        raise UnsupportedModelError(
            f"Expected a torch module for gradient norms, found {type(model.classifier).__name__}; train with a torch "
            "recipe, or leave them out."
        )
    return target.gradient_norms(audited.inputs, audited.labels)


def _accuracy(table: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean(table.argmax(axis=1) == labels))


def _said(accuracies: Iterable[float]) -> str:
    return ", ".join(f"{accuracy:.3f}" for accuracy in accuracies)
