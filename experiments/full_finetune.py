"""Full fine-tuning: `repdrift train --method full_finetune`, and the extractor of what it trains."""

import sys

from repdrift.cli.main import main
from repdrift.extraction import RepresentationExtractor

__all__ = ["RepresentationExtractor"]

if __name__ == "__main__":
    main(["train", "--method", "full_finetune", *sys.argv[1:]])
