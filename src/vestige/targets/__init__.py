"""A model as an adversary may query it. `opening` finds the way for any classifier; each kind is one file."""
