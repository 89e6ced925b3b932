"""Small records, recipes and plans of shadow models, and the plain loop that every run must agree with."""

import functools
import json
import resource
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.naive_bayes import GaussianNB

from vestige.auditing.shadows.plan import ShadowPlan, planned
from vestige.auditing.shadows.training import Shadows, train_shadows
from vestige.core.recipe import Model, Recipe
from vestige.core.records import Records
from vestige.data.sets.designs import complementary_pairs
from vestige.training.bank import Bank
from vestige.training.function_recipe import FunctionRecipe
from vestige.training.strategies import Strategy, groups_of

N_CLASSES = 3
ALONE = Strategy()


def table(n: int = 60, width: int = 4, seed: int = 0, **columns: Any) -> Records:
    """Records of numbers whose labels depend on them; a complementary half holds all classes."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(n, width)).astype(np.float32)
    return Records(inputs, np.digitize(inputs[:, 0] + 0.5 * rng.normal(size=n), [-0.4, 0.4]), **columns)


def plan_of(
    recipe: Recipe,
    n_models: int = 6,
    *,
    records: Records | None = None,
    strategy: Strategy = ALONE,
    seed: int = 0,
    n_workers: int = 1,
    **more: Any,
) -> ShadowPlan:
    """What an audit would plan."""
    records = records or table()
    member = complementary_pairs(n_models, records.n_records, seed=seed, subjects=records.subjects)
    groups = groups_of(recipe, member, strategy, n_workers)
    return ShadowPlan(
        recipe=recipe,
        records=records,
        member=member,
        seed=seed,
        strategy=strategy,
        groups=groups,
        n_asked=n_models,
        **more,
    )


def signals(shadows: Shadows) -> np.ndarray:
    """What all models that are done answered at the end."""
    return shadows.store.read(shadows.kind, rows=shadows.rows_read())


# ---------------------------------------------------------------------------------- functions that train


def bayes(inputs: Any, labels: Any, *, seed: int) -> GaussianNB:
    """A model that depends on its seed as well as on its records."""
    noise = np.random.default_rng(seed).normal(size=inputs.shape)
    return GaussianNB().fit(inputs + 0.1 * noise, labels)


def counted(inputs: Any, labels: Any, *, seed: int, folder: str, seconds: float = 0.0) -> GaussianNB:
    """The same, leaving a file of the seed's name for every training."""
    Path(folder, f"{seed}-{uuid.uuid4().hex}").touch()
    time.sleep(seconds)
    return bayes(inputs, labels, seed=seed)


def trainings(folder: Path) -> list[int]:
    """Seeds that `counted` was called with, as often as it was."""
    return sorted(int(path.name.partition("-")[0]) for path in folder.iterdir())


def failing(inputs: Any, labels: Any, *, seed: int, seeds: Sequence[int]) -> GaussianNB:
    """The same, raising for some seeds."""
    if seed in seeds:
        raise ValueError("no luck with /home/anna/patient-17.csv")
    return bayes(inputs, labels, seed=seed)


def centroids(inputs: Any, labels: Any, *, seed: int) -> Any:
    """A model that no file can hold: a function made inside another one."""
    centres = np.array([inputs[labels == k].mean(axis=0) for k in range(N_CLASSES)])

    def answer(asked: Any) -> np.ndarray:
        logits = -((asked[:, None] - centres) ** 2).sum(axis=2)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(odds / odds.sum(axis=1, keepdims=True))

    return answer


def slow(inputs: Any, labels: Any, *, seed: int, seconds: float) -> GaussianNB:
    time.sleep(seconds)
    return bayes(inputs, labels, seed=seed)


def counting(folder: Path, seconds: float = 0.0) -> FunctionRecipe:
    folder.mkdir(exist_ok=True)
    return FunctionRecipe(counted, parameters={"folder": str(folder), "seconds": seconds})


# ------------------------------------------------------------------------------------------------- torch


def network(bad: int = -1, what: str = "", width: int = 4) -> Any:
    """A small network; the model whose stream of weights has the seed `bad` is faulty in the way that is asked."""
    import torch

    if torch.initial_seed() != bad:
        return torch.nn.Sequential(torch.nn.Linear(width, 8), torch.nn.ReLU(), torch.nn.Linear(8, N_CLASSES))
    if what == "raises":
        raise ValueError("no memory")
    if what == "width":
        return torch.nn.Sequential(torch.nn.Linear(width, 8), torch.nn.ReLU(), torch.nn.Linear(8, N_CLASSES + 2))
    made = network(width=width)
    torch.nn.init.constant_(made[0].weight, float("nan"))
    return made


def torch_recipe(bad: int = -1, what: str = "", **options: Any) -> Any:
    import torch

    from vestige.training.torch_recipe import TorchRecipe

    sgd = functools.partial(torch.optim.SGD, lr=0.1)
    made = functools.partial(network, bad, what)
    return TorchRecipe(made, **{"epochs": 2, "batch_size": 16, "optimiser": sgd, **options})


def weights_seed(plan: ShadowPlan, model: int) -> int:
    """The seed of the stream that a torch model's weights are drawn from."""
    from vestige.training.classifier import seed_of

    return seed_of(plan.seed_of(model), "weights")


# --------------------------------------------------------------------------------------- the plain loop


def answers_of(model: Model, inputs: Any) -> np.ndarray:
    """What a model answers, asked without any of our targets; of an estimator that saw all classes."""
    if hasattr(model.classifier, "predict_proba"):
        return np.asarray(model.classifier.predict_proba(inputs))
    if hasattr(model.classifier, "parameters"):
        import torch

        with torch.no_grad():
            return np.asarray(model.classifier(torch.from_numpy(inputs)).numpy())
    return np.asarray(model.classifier(inputs))


def plain_loop(plan: ShadowPlan, **options: Any) -> list[Model]:
    """Each row of the design, fitted with its seed, one after the other."""
    return [
        plan.recipe.fit(plan.records.take(row), seed=plan.seed_of(i), **options) for i, row in enumerate(plan.member)
    ]


# -------------------------------------------------------------------------------------------- processes


def train_in(root: Path, name: str, kind: str, met: Any = None) -> None:
    """What a process of its own does: train 12 models into a run of this name, and tell of it in files."""
    strategy = {"stacks": Strategy(stack=4), "processes": Strategy(n_processes=2)}.get(kind, ALONE)
    recipe = torch_recipe(epochs=4) if kind == "stacks" else counting(root / "log", 0.05)
    plan, bank = plan_of(recipe, 12, strategy=strategy), Bank(root / "bank")
    if met is not None:
        met.wait(120)
    shadows = train_shadows(plan, root / name, bank)
    np.save(root / f"{name}.npy", signals(shadows))
    (root / f"{name}.json").write_text(json.dumps([shadows.n_trained, int(shadows.done.sum())]))


def train_killed(root: Path, name: str, n_models: int, stack: int) -> None:
    """What a process that may be killed at any moment does: go on with a run and its bank."""
    strategy = Strategy(stack=stack)
    plan = plan_of(torch_recipe(epochs=60), n_models, strategy=strategy)
    plan = planned(root / name, lambda strategy, groups: plan, lambda: strategy)
    shadows = train_shadows(plan, root / name, Bank(root / f"bank of {name}"))
    np.save(root / f"{name}.npy", signals(shadows))


def train_and_weigh(root: Path, n_models: int) -> None:
    """What a process of its own does: train on many records, open the run again, and tell the most memory it had."""
    rng = np.random.default_rng(0)
    records = Records(rng.normal(size=(20_000, 3)).astype(np.float32), np.arange(20_000) % 10)
    plan, bank = plan_of(FunctionRecipe(bayes), n_models, records=records), Bank(root / f"bank {n_models}")
    for _ in range(2):
        shadows = train_shadows(plan, root / str(n_models), bank)
    assert (shadows.n_trained, int(shadows.done.sum())) == (0, n_models)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    (root / f"{n_models}.json").write_text(json.dumps(peak))
