"""The same audit from Python."""

from pathlib import Path

import vestige
from vestige.data import RecordColumns, read_two_records

here = Path(__file__).parent
columns = RecordColumns(label="diagnosis", id="id")
members, nonmembers = read_two_records(here / "members.csv", here / "nonmembers.csv", columns)
result = vestige.audit(vestige.ModelFile(here / "model.skops"), members=members, nonmembers=nonmembers)
print(result)
