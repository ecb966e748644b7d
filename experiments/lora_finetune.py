"""LoRA fine-tuning: `repdrift train --method lora`, and the extractor of what it trains."""

import sys

from repdrift.cli.main import main
from repdrift.extraction import LoRARepresentationExtractor

__all__ = ["LoRARepresentationExtractor"]

if __name__ == "__main__":
    main(["train", "--method", "lora", *sys.argv[1:]])
