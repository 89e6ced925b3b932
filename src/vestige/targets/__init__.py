"""A model as an adversary may query it. `opening` finds the way to any classifier.

Ways: `objects` of this process, `files`, `http`. What stands before them: `preprocessing` (declared inputs), `access`
(labels only, and what an attack gets), `meter` and `ledger` (every query counted, answers kept). `answer_format` says
what answers are; `stored_rows` finds training rows that a model carries.
"""
