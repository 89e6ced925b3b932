"""Attacks: what is observed of a model -> one score per record, higher = more likely a member.

One paper's attack is one pure function in one file. Attacks read no file, draw no random number, see no
membership of what they score, and do not know each other. `CATALOGUE` says what each needs and where it is from.
"""

import re
from importlib.resources import files

from vestige.attacks.attack_p import attack_p
from vestige.attacks.attack_r import attack_r
from vestige.attacks.augmentation_count import augmentation_count
from vestige.attacks.base_score import base_score_offline, base_score_online
from vestige.attacks.boundary_distance import boundary_distance
from vestige.attacks.calibration import (
    calibration_confidence,
    calibration_gradient_norm,
    calibration_loss,
    calibration_score,
)
from vestige.attacks.combined_distance import combined_distance
from vestige.attacks.confidence import confidence
from vestige.attacks.correctness import correctness
from vestige.attacks.empirical_bayes import empirical_bayes_offline, empirical_bayes_online
from vestige.attacks.entropy import entropy
from vestige.attacks.gradient_norm import gradient_norm
from vestige.attacks.lira import lira_in_only, lira_offline, lira_offline_two_sided, lira_online
from vestige.attacks.loss import loss
from vestige.attacks.max_confidence import max_confidence
from vestige.attacks.modified_entropy import modified_entropy
from vestige.attacks.nn import nn_augmentation, nn_memguard, nn_nasr, nn_nasr_logits, nn_shokri
from vestige.attacks.noise_robustness import noise_robustness
from vestige.attacks.quantile_regression import quantile_regression_at_fpr, quantile_regression_gaussian
from vestige.attacks.rmia import rmia_offline, rmia_online
from vestige.attacks.white_box_gradient import white_box_gradient
from vestige.core.attack import KNOWLEDGE, Attack
from vestige.core.errors import InputError
from vestige.core.messages import nearest

__all__ = [
    "CATALOGUE", "KNOWLEDGE", "Attack", "attack_p", "attack_r", "augmentation_count", "base_score_offline",
    "base_score_online", "bibtex", "boundary_distance", "calibration_confidence", "calibration_gradient_norm",
    "calibration_loss", "calibration_score", "combined_distance", "confidence", "correctness",
    "empirical_bayes_offline", "empirical_bayes_online", "entropy", "gradient_norm", "lira_in_only", "lira_offline",
    "lira_offline_two_sided", "lira_online", "loss", "max_confidence", "modified_entropy", "nn_augmentation",
    "nn_memguard", "nn_nasr", "nn_nasr_logits", "nn_shokri", "noise_robustness", "quantile_regression_at_fpr",
    "quantile_regression_gaussian", "rmia_offline", "rmia_online", "white_box_gradient",
]  # fmt: skip

_WHITE_BOX = (
    "known_probabilities", "known_labels", "known_losses", "known_gradients", "known_member",
    "probabilities", "labels", "losses", "gradients",
)  # fmt: skip

_LIRA: tuple[Attack, ...] = (
    Attack(
        "lira_online", lira_online, ("phi", "shadow_phi", "is_in"),
        "shadow models trained on random halves of the audited records",
        "loss", ("train", "data", "label"),
        "log-likelihood ratio of phi under models trained on the record and models that were not",
        "Carlini et al. 2022", ("carlini2022membership",),
    ),
    Attack(
        "lira_offline", lira_offline, ("phi", "shadow_phi", "is_in"),
        "shadow models not trained on the audited records",
        "loss", ("train", "data", "label"),
        "z-score of phi among models not trained on the record",
        "Carlini et al. 2022, offline attack", ("carlini2022membership",),
    ),
    Attack(
        "lira_offline_two_sided", lira_offline_two_sided, ("phi", "shadow_phi", "is_in"),
        "shadow models not trained on the audited records",
        "loss", ("train", "data", "label"),
        "-(log-density of phi under models not trained on the record)",
        "Carlini et al. 2022, published code", ("carlini2022membership",),
    ),
    Attack(
        "lira_in_only", lira_in_only, ("phi", "shadow_phi", "is_in"),
        "shadow models trained on random halves of the audited records",
        "loss", ("train", "data", "label"),
        "log-density of phi under models trained on the record",
        "Carlini et al. 2022, IN half of the online attack", ("carlini2022membership",),
    ),
)  # fmt: skip

_NETWORKS: tuple[Attack, ...] = (
    Attack(
        "nn_shokri", nn_shokri,
        ("known_probabilities", "known_labels", "known_member", "probabilities", "labels"),
        "probabilities or logits of every class, and records of known membership",
        "confidence", ("label", "members"),
        "log-odds of membership by a classifier per class, of the probabilities",
        "Shokri et al. 2017", ("shokri2017membership",), natural_threshold=0.0,
    ),
    Attack(
        "nn_nasr", nn_nasr,
        ("known_probabilities", "known_labels", "known_member", "probabilities", "labels"),
        "probabilities or logits of every class, and records of known membership",
        "confidence", ("label", "members"),
        "log-odds of membership by a classifier of probabilities and class",
        "Nasr et al. 2018", ("nasr2018machine",), natural_threshold=0.0,
    ),
    Attack(
        "nn_nasr_logits", nn_nasr_logits,
        ("known_log_probabilities", "known_labels", "known_member", "log_probabilities", "labels"),
        "probabilities or logits of every class, and records of known membership",
        "confidence", ("label", "members"),
        "log-odds of membership by a classifier of log-probabilities and class",
        "Nasr et al. 2018, published code", ("nasr2018machine",), natural_threshold=0.0,
    ),
    Attack(
        "nn_memguard", nn_memguard,
        ("known_probabilities", "known_member", "probabilities"),
        "probabilities or logits of every class, and records of known membership",
        "confidence", ("members",),
        "log-odds of membership by a classifier of the sorted probabilities",
        "Jia et al. 2019", ("jia2019memguard",), natural_threshold=0.0,
    ),
    Attack(
        "white_box_gradient", white_box_gradient,
        _WHITE_BOX,
        "access to the gradients of a torch module, and records of known membership",
        "gradients", ("label", "model", "members"),
        "log-odds of membership by a classifier of probabilities, class, loss and last layer's gradient",
        "Nasr et al. 2019", ("nasr2019comprehensive",), natural_threshold=0.0,
    ),
)  # fmt: skip

CATALOGUE: tuple[Attack, ...] = (
    Attack(
        "correctness",
        correctness,
        ("predicted", "labels"),
        "predicted labels, probabilities or logits",
        "label",
        ("label",),
        "1 if the predicted class is the true one",
        "Song & Mittal 2021, eq. 5",
        ("song2021systematic",),
        monotone=True,
    ),
    Attack(
        "loss",
        loss,
        ("losses",),
        "loss, phi, probabilities or logits",
        "loss",
        ("label",),
        "-(cross-entropy loss)",
        "Yeom et al. 2018",
        ("yeom2018privacy",),
        monotone=True,
    ),
    Attack(
        "confidence",
        confidence,
        ("p_true",),
        "loss, phi, probabilities or logits",
        "loss",
        ("label",),
        "probability of the true class",
        "Song & Mittal 2021, eq. 6",
        ("song2021systematic",),
        monotone=True,
    ),
    Attack(
        "max_confidence",
        max_confidence,
        ("probabilities",),
        "probabilities or logits of every class",
        "confidence",
        (),
        "log of the largest probability",
        "Salem et al. 2019",
        ("salem2019mlleaks",),
    ),
    Attack(
        "entropy",
        entropy,
        ("probabilities",),
        "probabilities or logits of every class",
        "confidence",
        (),
        "-(Shannon entropy of the probabilities)",
        "Song & Mittal 2021, eq. 7",
        ("song2021systematic",),
    ),
    Attack(
        "modified_entropy",
        modified_entropy,
        ("probabilities", "labels"),
        "probabilities or logits of every class",
        "confidence",
        ("label",),
        "-(modified entropy)",
        "Song & Mittal 2021, eq. 8",
        ("song2021systematic",),
        monotone=True,
    ),
    Attack(
        "gradient_norm",
        gradient_norm,
        ("gradient_norms",),
        "access to the gradients of a torch module, or their norms",
        "gradients",
        ("label", "model"),
        "-(L2 norm of the gradient of the record's loss)",
        "Watson et al. 2022, eq. 2",
        ("watson2022importance",),
        monotone=True,
    ),
    Attack(
        "boundary_distance",
        boundary_distance,
        ("boundary_distances",),
        "distances to the decision boundary, found from labels alone",
        "label",
        ("train", "data", "label"),
        "L2 distance to the nearest input found that is decided otherwise",
        "Choquette-Choo et al. 2021, section 3.4",
        ("choquettechoo2021labelonly",),
        monotone=True,
    ),
    *_LIRA,
    Attack(
        "empirical_bayes_online",
        empirical_bayes_online,
        ("phi", "shadow_phi", "is_in"),
        "shadow models trained on random halves of the audited records",
        "loss",
        ("train", "data", "label"),
        "log-ratio of Student-t predictive densities of phi, priors fitted across records",
        "ours; predictives of Murphy 2007",
        ("murphy2007conjugate",),
    ),
    Attack(
        "empirical_bayes_offline",
        empirical_bayes_offline,
        ("phi", "shadow_phi", "is_in"),
        "shadow models not trained on the audited records",
        "loss",
        ("train", "data", "label"),
        "standardised residual of phi under the predictive density of models not trained on it",
        "ours; predictives of Murphy 2007",
        ("murphy2007conjugate",),
    ),
    Attack(
        "base_score_online",
        base_score_online,
        ("phi", "shadow_phi"),
        "shadow models trained on random halves of the audited records",
        "loss",
        ("train", "data", "label"),
        "log of the confidence over the mean confidence of all models",
        "Lassila et al. 2025",
        ("lassila2025practical",),
    ),
    Attack(
        "base_score_offline",
        base_score_offline,
        ("phi", "shadow_phi", "is_in"),
        "shadow models not trained on the audited records",
        "loss",
        ("train", "data", "label"),
        "log p - 0.33 log(mean p of models not trained on the record)",
        "Lassila et al. 2025",
        ("lassila2025practical",),
    ),
    Attack(
        "attack_r",
        attack_r,
        ("phi", "shadow_phi", "is_in"),
        "shadow models not trained on the audited records",
        "loss",
        ("train", "data", "label"),
        "share of models not trained on the record that are no surer of it",
        "Ye et al. 2022",
        ("ye2022enhanced",),
    ),
    Attack(
        "calibration_loss",
        calibration_loss,
        ("phi", "shadow_phi", "is_in"),
        "shadow models not trained on the audited records",
        "loss",
        ("train", "data", "label"),
        "log p less its mean over models not trained on the record",
        "Watson et al. 2022, eq. 5",
        ("watson2022importance",),
    ),
    Attack(
        "calibration_confidence",
        calibration_confidence,
        ("max_log_p", "shadow_max_log_p", "is_in"),
        "probabilities or logits of every class, of the model and of shadow models not trained on the audited records",
        "confidence",
        ("train", "data"),
        "log of the largest probability less its mean over models not trained on the record",
        "Watson et al. 2022, eq. 5",
        ("watson2022importance",),
    ),
    Attack(
        "calibration_gradient_norm",
        calibration_gradient_norm,
        ("gradient_norms", "shadow_gradient_norms", "is_in"),
        "gradient norms of the target and of torch models not trained on the audited records",
        "gradients",
        ("train", "data", "label", "model"),
        "mean gradient norm over models not trained on the record less the target's",
        "Watson et al. 2022, eq. 5",
        ("watson2022importance",),
    ),
    Attack(
        "calibration_score",
        calibration_score,
        ("score", "reference_scores"),
        "a score of the target and of models that never saw the record",
        "loss",
        ("train", "data", "label"),
        "score less its mean over these models",
        "Watson et al. 2022, eq. 5",
        ("watson2022importance",),
    ),
    Attack(
        "rmia_online",
        rmia_online,
        ("phi", "shadow_phi", "population_phi", "population_shadow_phi"),
        "shadow models and records of a population",
        "loss",
        ("train", "data", "label"),
        "share of the population that the record's likelihood ratio exceeds",
        "Zarifzadeh et al. 2024",
        ("zarifzadeh2024lowcost",),
    ),
    Attack(
        "rmia_offline",
        rmia_offline,
        ("phi", "shadow_phi", "is_in", "population_phi", "population_shadow_phi", "population_is_in"),
        "shadow models and records of a population",
        "loss",
        ("train", "data", "label"),
        "the same with a mean guessed from models not trained on the record",
        "Zarifzadeh et al. 2024",
        ("zarifzadeh2024lowcost",),
    ),
    Attack(
        "attack_p",
        attack_p,
        ("losses", "population_losses"),
        "losses of known nonmembers",
        "loss",
        ("data", "label"),
        "share of the population with at least the record's loss",
        "Ye et al. 2022",
        ("ye2022enhanced",),
        monotone=True,
    ),
    Attack(
        "quantile_regression_gaussian",
        quantile_regression_gaussian,
        ("signal", "features", "is_known_nonmember"),
        "features, and some known nonmembers",
        "loss",
        ("data", "label"),
        "(signal - mean(x)) / std(x), of nonmembers like x",
        "Bertran et al. 2023",
        ("bertran2023scalable",),
    ),
    Attack(
        "quantile_regression_at_fpr",
        quantile_regression_at_fpr,
        ("signal", "features", "is_known_nonmember"),
        "features, and some known nonmembers",
        "loss",
        ("data", "label"),
        "signal - quantile(x), of nonmembers like x",
        "Bertran et al. 2023",
        ("bertran2023scalable",),
        natural_threshold=0.0,
    ),
    *_NETWORKS,
    Attack(
        "rotations",
        augmentation_count,
        ("correct",),
        "predicted labels of turned copies of each record",
        "label",
        ("label",),
        "number of turned copies that get the true class",
        "Choquette-Choo et al. 2021, section 3.3",
        ("choquettechoo2021labelonly",),
        monotone=True,
    ),
    Attack(
        "translations",
        augmentation_count,
        ("correct",),
        "predicted labels of shifted copies of each record",
        "label",
        ("label",),
        "number of shifted copies that get the true class",
        "Choquette-Choo et al. 2021, section 3.3",
        ("choquettechoo2021labelonly",),
        monotone=True,
    ),
    Attack(
        "nn_augmentation",
        nn_augmentation,
        ("known_correct", "known_labels", "known_member", "correct", "labels"),
        "predicted labels of augmented copies of each record, and records of known membership",
        "label",
        ("label", "members"),
        "log-odds of membership by a classifier per class, of which copies get the true class",
        "Choquette-Choo et al. 2021, section 3.3",
        ("choquettechoo2021labelonly",),
        natural_threshold=0.0,
    ),
    Attack(
        "noise_robustness",
        noise_robustness,
        ("noise_correct", "predicted", "labels"),
        "predicted labels of noisy copies of each record",
        "label",
        ("label",),
        "share of noisy copies that get the true class, 0 if the record does not",
        "Choquette-Choo et al. 2021, section 3.4",
        ("choquettechoo2021labelonly",),
        monotone=True,
    ),
    Attack(
        "label_only_likelihood_ratio",
        empirical_bayes_online,
        ("agreement", "shadow_agreement", "is_in"),
        "predicted labels of noisy or augmented copies, of the model and of shadow models trained on random halves",
        "label",
        ("train", "data", "label"),
        "log-ratio of Student-t predictive densities of the share of correct copies, on the normal's scale",
        "ours; predictives of Murphy 2007",
        ("murphy2007conjugate",),
    ),
    Attack(
        "calibrated_boundary_distance",
        calibration_score,
        ("signed_distances", "shadow_signed_distances", "is_in"),
        "distances to the decision boundary, of the model and of shadow models not trained on the record",
        "label",
        ("train", "data", "label"),
        "signed L2 distance to the decision boundary less its mean over models not trained on the record",
        "Watson et al. 2022, table 4",
        ("watson2022importance",),
    ),
    Attack(
        "combined_distance",
        combined_distance,
        ("copy_distances", "source_copy_distances"),
        "distances to the decision boundary of shifted copies of each record",
        "label",
        ("train", "data", "label"),
        "mean over shifted copies of their L2 distances to the decision boundary, standardised by a source model",
        "Choquette-Choo et al. 2021, section 3.4",
        ("choquettechoo2021labelonly",),
        monotone=True,
    ),
    Attack(
        "settled_boundary_distance",
        boundary_distance,
        ("settled_distances",),
        "distances to the decision boundary, ended as soon as a shadow model's threshold is settled",
        "label",
        ("train", "data", "label"),
        "L2 distance found until a record's side of a shadow model's threshold stands; only that side counts",
        "Choquette-Choo et al. 2021, section 3.4; when to end is ours",
        ("choquettechoo2021labelonly",),
        monotone=True,
    ),
)
"""Every attack, in the order of the tables."""


def bibtex(*names: str) -> str:
    """Return the BibTeX entries of the papers that attacks are from, each once.

    Args:
        names: Names of attacks of the catalogue.

    Raises:
        InputError: There is no such attack.

    Example:
        >>> print(bibtex("lira_online").splitlines()[0])
        @inproceedings{carlini2022membership,
    """
    ours = {attack.name: attack for attack in CATALOGUE}
    for name in names:
        if name not in ours:
            raise InputError(f"Expected an attack of the catalogue, found {name}; {nearest(name, ours)}.")
    text = files("vestige.attacks").joinpath("sources.bib").read_text(encoding="utf-8")
    entries = {entry[1]: entry[0] for entry in re.finditer(r"^@\w+\{(\w+),\n(?:.*\n)*?\}\n", text, re.MULTILINE)}
    keys = dict.fromkeys(key for name in names for key in ours[name].citations)
    return "\n".join(entries[key] for key in keys)
