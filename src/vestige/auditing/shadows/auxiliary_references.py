"""Reference models trained on the adversary's own records: from new weights, or from the target's by forgetting."""

import time
from collections.abc import Iterable, Sequence
from typing import Any, TypedDict, Unpack

import numpy as np

from vestige.auditing.shadows.job import GRADIENT_NORMS, LOGITS, answers_of
from vestige.auditing.shadows.sources import refuse_shared
from vestige.core.errors import InputError
from vestige.core.outputs import Logits, Probabilities
from vestige.core.progress import Progress, silent
from vestige.core.recipe import Model, Recipe
from vestige.core.records import Records, joined
from vestige.core.references import References
from vestige.core.seeds import stream
from vestige.core.views import Views
from vestige.targets.opening import open_target


class AskedOptions(TypedDict, total=False):
    """How models that are there are asked; everything may be left out.

    Attributes:
        gradient_norms: Whether to observe gradients too; needs torch models.
        views: Changed copies of each audited record that are asked about too.
        training: How they were trained, in a sentence that may be released.
    """

    gradient_norms: bool
    views: Views | None
    training: str


class ReferenceOptions(TypedDict, total=False):
    """How reference models are trained; everything may be left out.

    Attributes:
        n_models: How many, 1 if omitted; of all auxiliary records they differ by their seeds alone.
        share: Share of the auxiliary records that each is trained on, drawn for each anew; 1 if omitted.
        validation: Records for a rule of stopping that needs some; none of them audited.
        gradient_norms: Whether to observe gradients too; needs torch models.
        views: Changed copies of each audited record that are asked about too, as in the audit's `Querying`.
        seed: Of the models' seeds and of the draws; 0 if omitted.
        progress: Called after every model.
    """

    n_models: int
    share: float
    validation: Records | None
    gradient_norms: bool
    views: Views | None
    seed: int
    progress: Progress


def references_from_scratch(
    recipe: Recipe, auxiliary: Records, members: Records, nonmembers: Records, **options: Unpack[ReferenceOptions]
) -> References:
    """Train models on records that are not audited, from new weights, and ask them about those that are.

    None of them has seen an audited record, so with `audit(..., adversary=...)` they serve attacks that need OUT models
    only.

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
    return _trained(recipe, auxiliary, members, nonmembers, None, options)


def references_by_forgetting(
    model: Any,
    recipe: Recipe,
    auxiliary: Records,
    members: Records,
    nonmembers: Records,
    **options: Unpack[ReferenceOptions],
) -> References:
    """Train the target itself further on records that are not audited, until it has forgotten its own, and ask it.

    Stopped too early they equal the target, and every calibrated score is near 0; trained for too long they are like
    models of new weights. So `training` of the result gives their accuracy, and the target's, on their own records and
    on the audited ones: the accuracy on members should have come down to that on nonmembers.

    Args:
        model: The audited torch module, of the recipe's network; it stays as it is.
        recipe: How it is trained further; its optimiser and its schedule begin anew; see
            `papers.watson.forgetting_recipe`.
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
    return _trained(recipe, auxiliary, members, nonmembers, model, options)


def references_from_models(
    models: Sequence[Any], members: Records, nonmembers: Records, **options: Unpack[AskedOptions]
) -> References:
    """Ask models that are there, and that saw none of the audited records, about these.

    So the audited model itself serves as the reference of a model that is trained on the adversary's records in its
    place: thresholds set there are Watson et al.'s, without a further model and without halving those records.

    Args:
        models: Torch modules, fitted estimators or functions, all of one kind of answers.
        members: The audited records, with ids or in the order of the audit.
        nonmembers: The others.
        options: `gradient_norms` and `views`, see `ReferenceOptions`, and `training`, a sentence for the results.

    Raises:
        InputError: There is no model.
        UnsupportedModelError: One is no classifier that could be asked, or has no gradients.

    Example:
        >>> from sklearn.naive_bayes import GaussianNB
        >>> model = GaussianNB().fit([[0.0], [0.1], [1.0], [1.1]], [0, 0, 1, 1])
        >>> some, others = (Records(np.array([[x], [x + 1]]), [0, 1], ids=[i, i + 1]) for i, x in ((0, 0.2), (2, 0.3)))
        >>> references_from_models([model], some, others).n_models
        1

    Source:
        Watson et al. 2022, section 4.1, which does not say what calibrates the model that thresholds are set on.
    """
    if not models:
        raise InputError("Expected at least 1 model as reference, found none.")
    audited = joined(members, nonmembers)
    gradient_norms, views = options.get("gradient_norms", False), options.get("views")
    found = [
        answers_of(Model(model, audited.n_classes, seed=0), audited, views, gradient_norms=gradient_norms)
        for model in models
    ]
    kind = Logits if LOGITS in found[0] else Probabilities
    return References(
        kind,
        np.stack([answers[kind.kind] for answers in found]),
        np.zeros((len(models), audited.n_records), dtype=bool),
        ids=audited.ids,
        labels=audited.labels,
        gradient_norms=np.stack([answers[GRADIENT_NORMS] for answers in found]) if gradient_norms else None,
        training=options.get("training", ""),
        classifiers=list(models),
    )


def _trained(
    recipe: Recipe, auxiliary: Records, members: Records, nonmembers: Records, model: Any, options: ReferenceOptions
) -> References:
    """Train models, from the weights of `model` if there is one, and ask them about members, then nonmembers."""
    unknown = sorted(set(options) - set(ReferenceOptions.__annotations__))
    if unknown:
        raise TypeError(f"Expected options of reference models, found {unknown[0]}; see ReferenceOptions.")
    seed, validation, progress = options.get("seed", 0), options.get("validation"), options.get("progress", silent)
    views = options.get("views")
    audited = joined(members, nonmembers)
    refuse_shared("auxiliary", auxiliary, audited)
    if validation is not None:
        refuse_shared("validation", validation, audited)
    everybody = joined(auxiliary, audited)  # with one count of classes for all
    audited = everybody.take(np.arange(auxiliary.n_records, everybody.n_records))
    start = None if model is None else Model(model, everybody.n_classes, seed=seed)
    answers, norms, accuracies, epochs, classifiers, seconds = [], [], [], [], [], 0.0
    kind: type[Logits] | type[Probabilities] = Logits
    draws = _draws(auxiliary.n_records, options.get("n_models", 1), options.get("share", 1.0), seed)
    for number, rows in enumerate(draws):
        progress("training reference models", number, len(draws))
        own = everybody.take(rows)
        model_seed = int(stream(seed, f"reference model {number}").integers(2**31))
        begun = time.perf_counter()
        trained = recipe.fit(own, seed=model_seed, start=start, validation=validation)
        seconds += time.perf_counter() - begun
        found = answers_of(trained, audited, views, gradient_norms=options.get("gradient_norms", False))
        kind = Logits if LOGITS in found else Probabilities
        answers.append(found[kind.kind])
        norms += [found[name] for name in found if name == GRADIENT_NORMS]
        as_they_are = answers[-1] if views is None else answers[-1][:, 0]
        accuracies.append([_accuracy(trained, own), *_on_both_sides(as_they_are, audited.labels, members.n_records)])
        epochs.append(trained.epoch)
        classifiers.append(trained.classifier)
    progress("training reference models", len(draws), len(draws))
    begun_with = "new weights" if start is None else "the target's weights"
    for_epochs = f", {np.mean(epochs):.3g} epochs on average" if any(epochs) else ""
    said = (
        f"{len(draws)} from {begun_with}, on {draws[0].size:,} of {auxiliary.n_records:,} records that are "
        f"not audited{for_epochs}, {seconds / len(draws):.2g} seconds each; mean accuracy "
        f"{_said(np.mean(accuracies, axis=0))} (their own records, the target's members, its nonmembers)"
    )
    if start is not None:
        of_target = open_target(start.classifier, audited.n_classes).answers(audited.inputs).whole()
        both = _said(_on_both_sides(of_target, audited.labels, members.n_records))
        said = f"by forgetting: {said}; the target's {both} on the last two"
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


def _draws(n_records: int, n_models: int, share: float, seed: int) -> list[np.ndarray]:
    """Which auxiliary records each model is trained on."""
    if n_models < 1:
        raise InputError(f"Expected at least 1 reference model, found {n_models}.")
    if not 0 < share <= 1:
        raise InputError(f"Expected a share of the auxiliary records above 0 and up to 1, found {share:g}.")
    streams = (stream(seed, f"records of reference model {i}") for i in range(n_models))
    return [np.sort(drawn.permutation(n_records)[: max(1, round(share * n_records))]) for drawn in streams]


def _accuracy(model: Model, records: Records) -> float:
    answers = open_target(model.classifier, records.n_classes).answers(records.inputs).whole()
    return float(np.mean(answers.argmax(axis=1) == records.labels))


def _on_both_sides(answers: np.ndarray, labels: np.ndarray, n_members: int) -> list[float]:
    """Accuracy on members and on nonmembers."""
    right = answers.argmax(axis=1) == labels
    return [float(right[:n_members].mean()), float(right[n_members:].mean())]


def _said(accuracies: Iterable[float]) -> str:
    return ", ".join(f"{accuracy:.3f}" for accuracy in accuracies)
