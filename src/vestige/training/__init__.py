"""Trains many models from a recipe, records and a membership matrix; none is trained twice.

A recipe file says how one model is trained (`torch_recipe`, `sklearn_recipe`, `function_recipe`); `plain` and `stacked`
are two implementations of the same torch training; `executors/` run jobs here, in several processes or on a cluster;
`bank` stores trained models; `strategies` measures which way is the fastest. This room knows no targets and no signals.
"""
