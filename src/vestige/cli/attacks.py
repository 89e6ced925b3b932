"""`vestige attacks`: which attacks there are, and what each of them needs."""

from typing import TYPE_CHECKING

from vestige.cli.printing import print_table
from vestige.cli.settings import AsJson

if TYPE_CHECKING:
    from vestige.core.attack import Attack

_HEADER = ("name", "in all", "access", "queries a record", "knows", "needs", "source")


def attacks_command(as_json: AsJson = False) -> int:
    """List the attacks: what each needs, sees and knows, what it costs, and whose it is.

    Those that are not in `all` learn from known members, take minutes and are played if --attack names them. Access is
    the weakest that allows an attack. Queries are those of the settings of [label_only] that are usual; d is a shift.
    In a pipe, columns are separated by tabs.
    """
    from vestige.attacks import CATALOGUE

    rows = [
        (
            attack.name,
            "no" if attack.learns else "yes",
            attack.access,
            queries(attack),
            ", ".join(attack.knowledge),
            attack.needs,
            attack.source,
        )
        for attack in CATALOGUE
    ]
    print_table(_HEADER, rows, as_json=as_json)
    return 0


def queries(attack: "Attack") -> str:
    """Return queries about one record, in words, from the signals that an attack reads."""
    from vestige.auditing.label_only.augmentations import Augmentations
    from vestige.auditing.label_only.boundary_search import BoundarySearch
    from vestige.auditing.label_only.combined_distances import CombinedDistances
    from vestige.auditing.label_only.gradient_search import GradientSearch
    from vestige.auditing.label_only.noisy_copies import NoisyCopies
    from vestige.auditing.label_only.settled_search import SettledSearch

    of_copies = {"rotations": "3", "random_augmentations": f"{Augmentations.n_draws}"}
    asked = {
        "correct": of_copies.get(attack.name, "4 d + 1"),
        "noise_correct": f"{NoisyCopies.n_draws}",
        "agreement": f"{NoisyCopies.n_draws} or {2 * NoisyCopies.n_draws}",  # of two strengths
        "boundary_distances": f"up to {BoundarySearch.n_queries:,}",
        "signed_distances": f"up to {BoundarySearch.n_queries:,}",
        "copy_distances": f"up to {CombinedDistances.n_queries} (4 d + 1)",
        "gradient_distances": f"up to {GradientSearch().n_queries:,}",
        "settled_distances": f"up to {SettledSearch.n_queries:,}",
    }
    return next((queries for signal, queries in asked.items() if signal in attack.reads), "1")
