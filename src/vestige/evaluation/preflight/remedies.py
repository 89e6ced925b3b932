"""Cures that more than one check prescribes."""

DRAW_FROM_ONE_POOL = (
    "Draw members and nonmembers at random from one pool of records and train on the members, so that nothing but "
    "training tells them apart; where that cannot be done, audit the training recipe instead of this one model "
    "(vestige.audit_recipe, or an AUDIT.toml without [target])."
)
