"""Audits whose numbers may not move while the house is rebuilt.

Those of `STORED` start from answers in `answers.npz`, draw nothing that a library could draw otherwise, and name their
attacks, so that an attack that is added changes none of them: `tables.npz` has their numbers. Those of `TRAINING` train
models, whose last bits belong to a machine: `compare` plays them with an old commit and with this tree in one run.

`python -m tests.auditing.pinned.audits FOLDER [NAME ...]` writes the numbers of audits, `--store` those of `STORED`.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier

import vestige as vg
from vestige.auditing.label_only import (
    BoundarySearch,
    CombinedDistances,
    NoisyCopies,
    Rotations,
    SettledSearch,
    Translations,
)
from vestige.core.options import Arithmetic, SubjectScore
from vestige.core.outputs import GradientNorms, Logits, Loss, PredictedLabels, Probabilities
from vestige.core.result import AuditResult
from vestige.core.views import MirrorAndShifts

HERE = Path(__file__).parent
TABLES = HERE / "tables.npz"
OF_ANSWERS = ["correctness", "loss", "confidence", "max_confidence", "entropy", "modified_entropy"]
OF_REFERENCES = [
    "lira_online", "lira_offline", "lira_offline_two_sided", "lira_in_only", "empirical_bayes_online",
    "empirical_bayes_offline", "base_score_online", "base_score_offline", "attack_r", "calibration_loss",
    "calibration_confidence", "rmia_online", "rmia_offline",
]  # fmt: skip
N = 160


def make_answers() -> dict[str, np.ndarray]:
    """Draw what `answers.npz` holds: answers of a target that remembers, of a shadow model, of references, images."""
    rng = np.random.default_rng(20_261)
    labels = rng.integers(0, 3, size=N)
    hardness = rng.normal(size=N)

    def logits(member: np.ndarray, n_queries: int = 1) -> np.ndarray:
        found = rng.normal(size=(N, n_queries, 3))
        found[np.arange(N), :, labels] += (1.5 + hardness + 1.5 * member)[:, None]
        return np.round(found.squeeze(axis=1) if n_queries == 1 else found, 3)

    member = np.arange(N) < N // 2
    halves = np.stack([rng.permutation(N) < N // 2 for _ in range(8)])
    is_in = np.stack([side for half in halves for side in (half, ~half)])
    images = np.round(rng.random((48, 6, 6)), 3)
    weights = np.round(rng.normal(size=(36, 3)), 3)
    return {
        "labels": labels,
        "member": member,
        "logits": logits(member),
        "shadow_logits": logits(member),
        "is_in": is_in,
        "reference_logits": np.stack([logits(row) for row in is_in]),
        "target_queries": logits(member, 3),
        "reference_queries": np.stack([logits(row, 3) for row in is_in]),
        "reference_out": np.stack([logits(np.zeros(N, dtype=bool)) for _ in range(6)]),
        "norms": np.round(rng.gamma(2.0, size=N) * (2 - member), 3),
        "reference_norms": np.round(rng.gamma(2.0, size=is_in.shape) * (2 - is_in), 3),
        "subjects": np.where(member, rng.integers(0, 20, size=N), 100 + rng.integers(0, 30, size=N)),
        "sex": rng.integers(0, 2, size=N),
        "site": rng.integers(0, 3, size=N),
        "images": images,
        "weights": weights,
        "image_labels": (images.reshape(48, -1) @ weights + rng.normal(size=(48, 3))).argmax(axis=1),
    }


def load_answers() -> dict[str, np.ndarray]:
    """Read `answers.npz`, where numbers with a point are whole thousandths."""
    with np.load(HERE / "answers.npz") as stored:
        return {name: values / 1000 if values.dtype == np.int16 else values for name, values in stored.items()}


A = load_answers() if (HERE / "answers.npz").exists() else make_answers()
IDS = np.array([f"r{i:03d}" for i in range(N)])


def target(**more: Any) -> vg.Predictions:
    """The target's answers."""
    return vg.Predictions(Logits(A["logits"]), A["labels"], A["member"], **more)


def shadow() -> vg.Predictions:
    """The shadow model's."""
    return vg.Predictions(Logits(A["shadow_logits"]), A["labels"], A["member"])


def known_half() -> AuditResult:
    """A table alone."""
    return vg.audit(target(ids=IDS), attacks=OF_ANSWERS)


def one_shadow_and_groups() -> AuditResult:
    """One shadow model, two columns of groups."""
    groups = {"sex": np.array(["f", "m"])[A["sex"]], "site": np.array(["a", "b", "c"])[A["site"]]}
    return vg.audit(target(groups=groups), adversary=vg.Shadow(shadow()), attacks=OF_ANSWERS)


def people() -> AuditResult:
    """Several records a person."""
    return vg.audit(target(subjects=A["subjects"]), attacks=OF_ANSWERS)


def people_by_maximum() -> AuditResult:
    """The largest score of a person's records, beside reference models."""
    references = vg.References(Logits, A["reference_logits"], A["is_in"])
    options = vg.Options(subject_score=SubjectScore.MAXIMUM, min_cell=0)
    return vg.audit(
        target(subjects=A["subjects"]), adversary=references, attacks=[*OF_ANSWERS, "lira_online"], options=options
    )


def references() -> AuditResult:
    """Reference models in pairs, each in turn the target."""
    given = vg.References(Logits, A["reference_logits"], A["is_in"], ids=IDS)
    return vg.audit(target(ids=IDS), adversary=given, attacks=[*OF_ANSWERS, *OF_REFERENCES])


def references_of_probabilities_in_groups() -> AuditResult:
    """The same of probabilities, with groups of models, and gradient norms."""
    z = A["reference_logits"]
    p = np.exp(z) / np.exp(z).sum(axis=2, keepdims=True)
    given = vg.References(Probabilities, p, A["is_in"], groups=np.arange(16) // 4, gradient_norms=A["reference_norms"])
    answers = vg.Predictions([Logits(A["logits"]), GradientNorms(A["norms"])], A["labels"], A["member"])
    return vg.audit(answers, adversary=given, attacks=["gradient_norm", "calibration_gradient_norm", *OF_REFERENCES])


def references_never_trained_on_records() -> AuditResult:
    """Models that saw none of the records."""
    nobody = np.zeros((6, N), dtype=bool)
    return vg.audit(target(), adversary=vg.References(Logits, A["reference_out"], nobody), attacks=OF_REFERENCES)


def references_and_several_queries() -> AuditResult:
    """Three queries a record, and a choice of the likelihood ratio."""
    answers = vg.Predictions(Logits(A["target_queries"][:, 0]), A["labels"], A["member"])
    given = vg.References(Logits, A["reference_queries"], A["is_in"], labels=A["labels"], target=A["target_queries"])
    likelihood = vg.LikelihoodRatio(queries="full_covariance", center="median")
    return vg.audit(answers, adversary=given, likelihood=likelihood, attacks=["loss", *OF_REFERENCES])


def references_as_published() -> AuditResult:
    """The published code's likelihood ratio, its arithmetic and the hinge."""
    given = vg.References(Logits, A["reference_logits"], A["is_in"])
    likelihood = vg.LikelihoodRatio(statistic="hinge", center="median", variance="published_fixed", counts="smallest")
    options = vg.Options(arithmetic=Arithmetic.PUBLISHED, seed=7)
    result = vg.audit(
        target(), adversary=given, likelihood=likelihood, options=options, attacks=[*OF_ANSWERS, *OF_REFERENCES]
    )
    # The risk's outermost edges are powers of logarithms of the extremes: the last digit of a processor's logarithm
    # decides whether these are counted.
    table = result.results
    return replace(
        result, results=table[table["attack"] != "privacy_risk_score"], records=result.records.drop(columns="risk")
    )


def losses_alone() -> AuditResult:
    """A column of losses."""
    z = A["logits"]
    losses = np.log(np.exp(z).sum(axis=1)) - z[np.arange(N), A["labels"]]
    return vg.audit(vg.Predictions(Loss(losses), A["labels"], A["member"]), attacks=["loss", "confidence"])


def labels_alone() -> AuditResult:
    """A column of predicted classes."""
    answers = vg.Predictions(PredictedLabels(A["logits"].argmax(axis=1)), A["labels"], A["member"])
    return vg.audit(answers, adversary=vg.Shadow(shadow()), attacks=["correctness"])


def custom_attack() -> AuditResult:
    """Functions of somebody else, and an attack that learns without a random number."""

    def margin(probabilities: np.ndarray) -> np.ndarray:
        top = np.sort(probabilities, axis=1)
        return np.asarray(top[:, -1] - top[:, -2])

    def above_out(phi: np.ndarray, shadow_phi: np.ndarray, is_in: np.ndarray) -> np.ndarray:
        return np.asarray(phi - np.where(is_in, 0, shadow_phi).sum(axis=0) / (~is_in).sum(axis=0))

    given = vg.References(Logits, A["reference_logits"], A["is_in"])
    return vg.audit(target(), adversary=given, attacks=["loss", margin, above_out, "attack_p"])


def _records() -> tuple[vg.Records, vg.Records]:
    images, labels = A["images"], A["image_labels"]
    return vg.Records(images[:24], labels[:24]), vg.Records(images[24:], labels[24:])


def _classify(images: np.ndarray) -> Logits:
    return Logits(np.einsum("ni,ik->nk", np.asarray(images).reshape(len(images), -1), A["weights"]))


def function_with_labels() -> AuditResult:
    """A function behind its door, asked for confidences and for labels of noisy, shifted and turned copies."""
    members, nonmembers = _records()
    probes = (
        NoisyCopies(40),
        Translations(),
        Rotations(),
        BoundarySearch(120),
        CombinedDistances(1, 60),
    )
    names = ["loss", "noise_robustness", "translations", "rotations", "boundary_distance", "combined_distance"]
    return vg.audit(
        _classify, members=members, nonmembers=nonmembers, querying=vg.Querying(label_only=probes), attacks=names
    )


def function_by_labels_alone() -> AuditResult:
    """The same function with access to labels, a budget and a price."""
    members, nonmembers = _records()
    querying = vg.Querying(access="label", label_only=(NoisyCopies(20),), budget=5_000, price=1.0)
    return vg.audit(
        _classify,
        members=members,
        nonmembers=nonmembers,
        querying=querying,
        attacks=["correctness", "noise_robustness"],
    )


def files() -> AuditResult:
    """Two CSV files and an npz of references, by the command line; read from the run."""
    z = A["logits"]
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    frame = pd.DataFrame(p, columns=["prob_0", "prob_1", "prob_2"]).assign(label=A["labels"], id=IDS)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        frame[A["member"]].to_csv(folder / "members.csv", index=False)
        frame[~A["member"]].to_csv(folder / "nonmembers.csv", index=False)
        named = {"logits": A["reference_logits"], "member": A["is_in"], "ids": IDS}
        np.savez(folder / "references.npz", **{f"reference_{name}": values for name, values in named.items()})  # type: ignore[arg-type]
        words = ["audit", "--members", str(folder / "members.csv"), "--nonmembers", str(folder / "nonmembers.csv")]
        words += ["--reference", str(folder / "references.npz"), "--out", str(folder / "run")]
        words += [word for name in ("loss", "lira_online", "attack_r") for word in ("--attack", name)]
        subprocess.run([sys.executable, "-m", "vestige", *words], check=True, capture_output=True)
        tables = {n: pd.read_parquet(folder / "run" / f"{n}.parquet") for n in ("results", "records", "targets")}
    return _Tables(**tables)  # type: ignore[return-value]


class _Tables:
    """The three tables of a run on disk."""

    def __init__(self, results: pd.DataFrame, records: pd.DataFrame, targets: pd.DataFrame) -> None:
        self.results, self.records, self.targets = results, records, targets


def _tabular() -> tuple[vg.Records, vg.Records, Any]:
    rng = np.random.default_rng(5)
    inputs, labels = rng.normal(size=(240, 5)), rng.integers(0, 2, size=240)
    model = RandomForestClassifier(10, random_state=0).fit(inputs[:120], labels[:120])
    return vg.Records(inputs[:120], labels[:120]), vg.Records(inputs[120:], labels[120:]), model


def trained_forest() -> AuditResult:
    """A fitted estimator with shadow models of its kind, and attacks that learn."""
    members, nonmembers, model = _tabular()
    with tempfile.TemporaryDirectory() as bank:
        training = vg.ShadowTraining("same", n_models=8, bank=bank)
        names = [*OF_ANSWERS, *OF_REFERENCES, "nn_nasr", "nn_shokri", "attack_p", "quantile_regression_gaussian"]
        return vg.audit(model, members=members, nonmembers=nonmembers, adversary=training, attacks=names)


def _network() -> Any:
    import torch

    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(36, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))


def trained_label_only() -> AuditResult:
    """Label-only attacks of every kind, with shadow models."""
    members, nonmembers = _records()
    probes = (
        NoisyCopies(30), Translations(), BoundarySearch(150, n_references=2), CombinedDistances(1, 60),
        SettledSearch(100),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as bank:
        training = vg.ShadowTraining(vg.TorchRecipe(_network, epochs=40, batch_size=8), n_models=8, bank=bank)
        names = [
            "correctness", "noise_robustness", "translations", "boundary_distance", "combined_distance",
            "settled_boundary_distance", "calibrated_boundary_distance", "label_only_likelihood_ratio",
            "nn_augmentation",
        ]  # fmt: skip
        return vg.audit(
            _classify, members=members, nonmembers=nonmembers, adversary=training,
            querying=vg.Querying(label_only=probes), attacks=names,
        )  # fmt: skip


def trained_network() -> AuditResult:
    """A torch module with gradients, views and shadow models."""
    import torch

    members, nonmembers = _records()
    torch.manual_seed(0)
    model = _network()
    with tempfile.TemporaryDirectory() as bank:
        training = vg.ShadowTraining(vg.TorchRecipe(_network, epochs=5, batch_size=8), n_models=6, bank=bank)
        names = ["loss", "gradient_norm", "calibration_gradient_norm", "white_box_gradient", *OF_REFERENCES]
        querying = vg.Querying(access="gradients", views=MirrorAndShifts(1))
        return vg.audit(
            model, members=members, nonmembers=nonmembers, adversary=training, querying=querying, attacks=names
        )


def recipe() -> AuditResult:
    """A recipe alone, with groups of six models."""
    members, _, _ = _tabular()
    with tempfile.TemporaryDirectory() as bank:
        training = vg.ShadowTraining(
            vg.SklearnRecipe(RandomForestClassifier(10, random_state=0)), n_models=12, share="5/6", bank=bank
        )
        return vg.audit_recipe(members, training, attacks=[*OF_ANSWERS, *OF_REFERENCES])


STORED: dict[str, Callable[[], AuditResult]] = {
    made.__name__: made
    for made in (
        known_half, one_shadow_and_groups, people, people_by_maximum, references,
        references_of_probabilities_in_groups, references_never_trained_on_records, references_and_several_queries,
        references_as_published, losses_alone, labels_alone, custom_attack, function_with_labels,
        function_by_labels_alone, files,
    )
}  # fmt: skip
TRAINING: dict[str, Callable[[], AuditResult]] = {
    made.__name__: made for made in (trained_forest, trained_label_only, trained_network, recipe)
}
KEYS = ("attack", "metric", "group", "threshold", "model", "status", "id", "subject", "member", "label", "class")


def numbers_of(result: AuditResult) -> dict[str, np.ndarray]:
    """Return a result's three tables: numbers by column, and for each row the words that say what it is."""
    found = {}
    for name in ("results", "records", "targets"):
        table = getattr(result, name)
        if name == "results":  # these rows came after the numbers were stored
            table = table[~table["metric"].str.startswith(("accuracy_at_prior_", "difference_"))]
        table = table.reset_index(drop=True)
        keys = [column for column in table.columns if column in KEYS and column != "status"]
        found[f"{name}:key"] = np.array(["|".join(map(str, row)) for row in table[keys].itertuples(index=False)])
        for column in table.columns:
            if column not in KEYS and pd.api.types.is_numeric_dtype(table[column]):
                found[f"{name}:{column}"] = table[column].to_numpy(dtype=np.float64, na_value=np.nan)
    return found


def main(words: list[str]) -> None:
    """Write the numbers of audits."""
    if words == ["--store"]:
        drawn = make_answers()
        kept = {n: np.round(v * 1000).astype(np.int16) if v.dtype.kind == "f" else v for n, v in drawn.items()}
        np.savez_compressed(HERE / "answers.npz", **kept)  # type: ignore[arg-type]
        A.update(load_answers())
        stored = {f"{n}/{k}": v for n, made in STORED.items() for k, v in numbers_of(made()).items()}
        np.savez_compressed(TABLES, **stored)  # type: ignore[arg-type]
        return
    folder, names = Path(words[0]), words[1:] or [*STORED, *TRAINING]
    for name in names:
        np.savez_compressed(folder / f"{name}.npz", **numbers_of((STORED | TRAINING)[name]()))  # type: ignore[arg-type]


if __name__ == "__main__":
    main(sys.argv[1:])
