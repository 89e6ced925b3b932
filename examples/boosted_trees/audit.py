"""The same audit from Python."""

from pathlib import Path

import vestige
from vestige.data import RecordColumns, read_two_records

here = Path(__file__).parent
columns = RecordColumns(id="id")
members, nonmembers = read_two_records(here / "members.parquet", here / "nonmembers.parquet", columns)
result = vestige.audit(vestige.ModelFile(here / "model.ubj"), members=members, nonmembers=nonmembers)
print(result)
