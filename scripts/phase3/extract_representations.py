"""Extract representations of a study's trained models: `repdrift extract` under its Phase 3 name."""

import sys

from repdrift.cli.main import main

if __name__ == "__main__":
    main(["extract", *sys.argv[1:]])
