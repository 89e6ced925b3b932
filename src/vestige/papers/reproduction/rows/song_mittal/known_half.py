"""Tables 2, 3 and 6, figures 1, 2, 3 and 5, appendix D: models of which the adversary knows half of the records."""

from dataclasses import replace

from vestige.core.recipe import Model
from vestige.core.records import Records
from vestige.data.sets.paper_designs import known_half
from vestige.papers.reproduction.playing import accuracy_of, predictions_of, rows_of, short
from vestige.papers.reproduction.row import Scale
from vestige.papers.reproduction.rows.song_mittal.attacked import measured
from vestige.papers.reproduction.rows.song_mittal.settings import HALVES, SPLITS, permuted
from vestige.training.stopping import matched_epoch

MODELS = ("none", "adversarial", "early stopping")


def known_half_trial(data: str, records: Records, scale: Scale, seed: int) -> dict[str, float]:
    """A model without a defence, one with adversarial regularisation, and the first one stopped early.

    The adversary knows half of the members and of the nonmembers of each model and asks the model itself about them;
    the other halves are attacked. Early stopping is at the epoch whose accuracies are the most like the defended ones.
    """
    setting = HALVES[data]
    split = SPLITS[data](permuted(records, seed, data))
    half = known_half(split.members, split.evaluation, seed=100 + seed)
    members, reference, held_out = (
        rows_of(records, rows, scale) for rows in (split.members, split.reference, split.evaluation)
    )
    regularised = setting.defended(reference)
    base = short(regularised.base, scale)
    longer = short(replace(base, epochs=setting.epochs or regularised.base.epochs), scale)
    undefended = longer.fit(members, seed=seed, checkpoints=range(1, longer.epochs))
    defended = replace(regularised, base=base).fit(members, seed=seed, checkpoints=range(1, base.epochs))
    numbers: dict[str, float] = {}
    accuracies: dict[str, dict[int, tuple[float, float]]] = {}
    for name, model in (("none", undefended), ("adversarial", defended)):
        accuracies[name] = accuracies_by_epoch(model, members, held_out)
        numbers |= {f"test accuracy, {name} @ {epoch}": test for epoch, (_, test) in accuracies[name].items()}
    stopped = matched_epoch(accuracies["none"], accuracies["adversarial"][defended.epoch])
    models = {"none": undefended, "adversarial": defended}
    models["early stopping"] = next(one for one in (*undefended.checkpoints, undefended) if one.epoch == stopped)
    known = [rows_of(records, rows, scale) for rows in (half.known_members, half.known_nonmembers)]
    attacked = [rows_of(records, rows, scale) for rows in (half.attacked_members, half.attacked_nonmembers)]
    for name, model in models.items():
        numbers[f"{name}: training accuracy"] = accuracy_of(model, members)
        numbers[f"{name}: test accuracy"] = accuracy_of(model, held_out)
        numbers |= measured(name, predictions_of(model, *attacked), predictions_of(model, *known))
    return numbers


def accuracies_by_epoch(model: Model, members: Records, held_out: Records) -> dict[int, tuple[float, float]]:
    """Return training and test accuracy at each epoch that is kept, and at the last."""
    return {one.epoch: (accuracy_of(one, members), accuracy_of(one, held_out)) for one in (*model.checkpoints, model)}
