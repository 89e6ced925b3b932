"""What an attack is: a pure function from signals to scores, and what it reads, sees and knows."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

KNOWLEDGE = ("train", "data", "label", "model", "members")
"""What an adversary may know beside the model's answers, in the order of the tables."""

_OF_REFERENCES = (
    "shadow_phi",
    "shadow_gradient_norms",
    "shadow_max_log_p",
    "is_in",
    "population_phi",
    "population_shadow_phi",
    "population_is_in",
)


@dataclass(frozen=True)
class Attack:
    """What the auditing room must know to run an attack.

    Attributes:
        name: Its name in every table.
        score: The pure function. Of `probabilities` it gets `ClassProbabilities`: p, 1 - p and their logarithms.
        reads: Names of the signals it is given, in order: `predicted`, `labels`, `losses`, `p_true`, `phi`,
            `probabilities`, `gradient_norms`; of attacks with reference models `phi`, `shadow_phi` and `is_in`, or
            `gradient_norms`, `shadow_gradient_norms` and `is_in`, or `max_log_p` (of the surest class),
            `shadow_max_log_p` and `is_in`; of some the same of a population, `population_...`;
            `score` and `reference_scores` of any attack; and `signal`, `features` and `is_known_nonmember`; of
            label-only ones `correct` and `noise_correct`, of each augmented or noisy copy, `agreement` and
            `shadow_agreement`, what their share is, and `boundary_distances`; `signed_distances`, minus where the model
            is wrong, and `shadow_signed_distances`; `copy_distances`, a column per copy, and `source_copy_distances`;
            `settled_distances`, of searches that were ended early. Attacks that learn from known members
            read the same of these, `known_...`, and `known_member`; what has a number per class is a plain array for
            them.
        needs: The same for a person: what a table must hold.
        access: The weakest access that allows it: `label`, `loss`, `confidence` or `gradients`.
        knowledge: What else the adversary must know, in the words of Choquette-Choo et al. 2021, table 3: `train` (how
            the model was trained), `data` (more records like these), `label` (the record's), `model` (its parameters),
            and `members` (which side some of the records are on).
        definition: The score in one line.
        source: Paper and equation.
        citations: Keys of the papers' BibTeX entries, for `vestige.attacks.bibtex`; none for an own attack.
        natural_threshold: The score above which the attack itself calls a record a member, such as log-odds of 0; None
            if it only ranks.
        monotone: Whether the score is one rising function, the same for all records, of the model's confidence in the
            record's true class. Members below nonmembers then mean that the two were exchanged. They do not for a
            ratio of densities, which falls on either side of a peak, for what is measured against other models'
            answers about the record, whose distribution may be skewed, for confidence in whatever class, or for what
            is learnt from known members, which is exchanged along with them; nor for an own attack, unless its
            `Attack` says so.
    """

    name: str
    score: Callable[..., np.ndarray]
    reads: tuple[str, ...]
    needs: str
    access: str
    knowledge: tuple[str, ...]
    definition: str
    source: str
    citations: tuple[str, ...] = ()
    natural_threshold: float | None = None
    monotone: bool = False

    @property
    def learns(self) -> bool:
        """Whether it is given the membership of some records to learn from, and so is played only if asked for."""
        return bool({"known_member", "is_known_nonmember", "population_losses"} & set(self.reads))

    @property
    def needs_references(self) -> bool:
        """Whether it reads what models with known members among the audited records answered, and nothing else."""
        reads = set(self.reads)
        return bool({"shadow_phi", "is_in"} & reads) and reads <= {
            "phi",
            "gradient_norms",
            "max_log_p",
            *_OF_REFERENCES,
        }
