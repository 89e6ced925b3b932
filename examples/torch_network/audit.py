"""The same audit from Python."""

from pathlib import Path

from network import make

import vestige
from vestige.data import read_two_records

here = Path(__file__).parent
members, nonmembers = read_two_records(here / "members.npz", here / "nonmembers.npz")
model = vestige.ModelFile(here / "model.safetensors", factory=make)
result = vestige.audit(model, members=members, nonmembers=nonmembers, querying=vestige.Querying(access="gradients"))
print(result)
