"""For who writes an attack or a defence: the laws that every one of ours keeps, as one call.

`check_attack(f)` plays a function, or an `Attack`, on signals whose leak is known because it was planted, and says
which law it breaks; `check_defence(d)` does so for a defence of answers, and for one that trains, a recipe, which it
lets train on a few records. Nothing here reads a file or knows an audit.
"""

from vestige.testing.defences import DefenceReport, check_defence
from vestige.testing.laws import AttackReport, BrokenLawError, check_attack
from vestige.testing.recipes import RecipeReport

__all__ = ["AttackReport", "BrokenLawError", "DefenceReport", "RecipeReport", "check_attack", "check_defence"]
