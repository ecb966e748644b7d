#!/usr/bin/env bash
# Extraction for classification: the base model and every trained model of mrpc, sst2 and rte. Options are passed on
# (try --help); without --config the study is $REPDRIFT_CONFIG or studies/lora_vs_full.yaml.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
. "$here/../python.sh"
exec "$PYTHON" "$here/extract_representations.py" --task mrpc --task sst2 --task rte "$@"
