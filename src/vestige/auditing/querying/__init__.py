"""How the audited model is queried, and what that costs."""
