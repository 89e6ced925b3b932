"""The networks of the papers, untrained, in plain torch: each a function or class whose arguments are numbers.

All return logits. Batch normalisation stands where the paper had it and nowhere else.
"""
