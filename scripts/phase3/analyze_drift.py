"""Measure drift and test the hypotheses: `repdrift analyze` under its Phase 3 name."""

import sys

from repdrift.cli.main import main

if __name__ == "__main__":
    main(["analyze", *sys.argv[1:]])
