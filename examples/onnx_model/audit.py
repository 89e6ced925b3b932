"""The same audit from Python."""

from pathlib import Path

import vestige
from vestige.data import read_two_records

here = Path(__file__).parent
members, nonmembers = read_two_records(here / "members.npz", here / "nonmembers.npz")
model = vestige.ModelFile(here / "model.onnx", vestige.AnswerFormat(vestige.Probabilities))
result = vestige.audit(model, members=members, nonmembers=nonmembers)
print(result)
