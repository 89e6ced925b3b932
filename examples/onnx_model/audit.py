"""The same audit from Python."""

from pathlib import Path

import vestige
from vestige.core.outputs import Probabilities
from vestige.data import read_two_records
from vestige.targets.answer_format import AnswerFormat

here = Path(__file__).parent
members, nonmembers = read_two_records(here / "members.npz", here / "nonmembers.npz")
model = vestige.ModelFile(here / "model.onnx", AnswerFormat(Probabilities))
result = vestige.audit(model, members=members, nonmembers=nonmembers)
print(result)
