"""The same audit from Python."""

from pathlib import Path

import vestige
from vestige.data import read_two_records

here = Path(__file__).parent
members, nonmembers = read_two_records(here / "members.npz", here / "nonmembers.npz")
endpoint = vestige.Endpoint("http://127.0.0.1:8080/v2/models/digits", output="predict_proba")
terms = vestige.Querying(budget=3000, price=0.40)
result = vestige.audit(endpoint, members=members, nonmembers=nonmembers, querying=terms, run=here / "run")
print(result)
