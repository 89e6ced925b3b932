"""For who writes an attack: the laws that every attack of ours keeps, as one call.

`check_attack(f)` plays a function, or an `Attack`, on signals whose leak is known because it was planted, and says
which law it breaks. Nothing here reads a file, trains a model or knows an audit.
"""

from vestige.testing.laws import AttackReport, BrokenLawError, check_attack

__all__ = ["AttackReport", "BrokenLawError", "check_attack"]
