"""`python -m engage_assets.cli`."""

from engage_assets.cli import main

main()
