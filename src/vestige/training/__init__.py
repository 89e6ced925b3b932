"""Recipe + records + membership -> many models, cheaply, safely, and never twice.

A recipe file says how one model is trained (`torch_recipe`, `sklearn_recipe`, `function_recipe`); `plain` and `stacked`
are two ways to do the same torch training; `executors/` run jobs here, in several processes or on a cluster;
`bank` keeps what was trained; `strategies` measures which way is the fastest. Nothing here knows targets or signals.
"""
