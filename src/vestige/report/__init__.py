"""`AuditResult` -> tables, JSON, a page, a terminal. Computes no number."""
