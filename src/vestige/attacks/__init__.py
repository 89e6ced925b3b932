"""Attacks: what is observed of a model -> one score per record, higher = more likely a member.

One paper's attack is one pure function in one file. Attacks read no file, draw no random number, see no
membership of what they score, and do not know each other. `CATALOGUE` says what each needs and where it is from.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vestige.attacks.confidence import confidence
from vestige.attacks.correctness import correctness
from vestige.attacks.entropy import entropy
from vestige.attacks.gradient_norm import gradient_norm
from vestige.attacks.lira import lira_online
from vestige.attacks.loss import loss
from vestige.attacks.max_confidence import max_confidence
from vestige.attacks.modified_entropy import modified_entropy

__all__ = [
    "CATALOGUE",
    "KNOWLEDGE",
    "Attack",
    "confidence",
    "correctness",
    "entropy",
    "gradient_norm",
    "lira_online",
    "loss",
    "max_confidence",
    "modified_entropy",
]


@dataclass(frozen=True)
class Attack:
    """What the auditing room must know to run an attack.

    Attributes:
        name: Its name in every table.
        score: The pure function.
        reads: Names of the signals it is given, in order: `predicted`, `labels`, `losses`, `p_true`,
            `probabilities`, `gradient_norms`; of attacks with reference models `phi`, `shadow_phi` and `is_in`.
        needs: The same for a person: what a table must hold.
        access: The weakest access that allows it: `label`, `loss`, `confidence` or `gradients`.
        knowledge: What else the adversary must know, in the words of Choquette-Choo et al. 2021, table 3: `train` (how
            the model was trained), `data` (more records like these), `label` (the record's), `model` (its parameters).
        definition: The score in one line.
        source: Paper and equation.
    """

    name: str
    score: Callable[..., np.ndarray]
    reads: tuple[str, ...]
    needs: str
    access: str
    knowledge: tuple[str, ...]
    definition: str
    source: str

    @property
    def needs_references(self) -> bool:
        """Whether it reads what models with known members among the audited records answered."""
        return "is_in" in self.reads


KNOWLEDGE = ("train", "data", "label", "model", "members")
"""What an adversary may know beside the model's answers, in the order of the tables."""

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
    ),
    Attack(
        "gradient_norm",
        gradient_norm,
        ("gradient_norms",),
        "access to the gradients of a torch module, or their norms",
        "gradients",
        ("label", "model"),
        "-(L2 norm of the gradient of the record's loss)",
        "Watson et al. 2022, section 2",
    ),
    Attack(
        "lira_online",
        lira_online,
        ("phi", "shadow_phi", "is_in"),
        "shadow models trained on random halves of the audited records",
        "loss",
        ("train", "data", "label"),
        "log-likelihood ratio of phi under models trained on the record and models that were not",
        "Carlini et al. 2022",
    ),
)
"""Every attack, in the order of the tables."""
