"""`python -m repdrift` is the command line."""

from repdrift.cli.main import main

main()
