"""Draw the figures and the dashboard: `repdrift visualize` under its Phase 3 name."""

import sys

from repdrift.cli.main import main

if __name__ == "__main__":
    main(["visualize", *sys.argv[1:]])
