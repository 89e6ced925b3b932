"""`python -m vestige`."""

from vestige.cli import main

main()
