"""Attacks that see a class and nothing else: what is asked, and what is made of the answers."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
