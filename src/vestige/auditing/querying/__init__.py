"""How the audited model is asked, and what that costs."""
