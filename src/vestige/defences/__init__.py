"""Defences of answers: frozen values between a model and whoever asks it, one file each.

They see answers and no inputs, no label and no membership. One set of shadow models serves all of them, because answers
are stored as the models gave them.
"""

from vestige.defences.labels_only import LabelsOnly
from vestige.defences.memguard import MemGuard
from vestige.defences.purifier import Purifier
from vestige.defences.rounded import Rounded
from vestige.defences.strongest_memguard import StrongestMemGuard
from vestige.defences.temperature import Temperature
from vestige.defences.top_k import TopK

__all__ = ["LabelsOnly", "MemGuard", "Purifier", "Rounded", "StrongestMemGuard", "Temperature", "TopK"]
