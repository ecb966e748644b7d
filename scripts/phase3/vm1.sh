#!/usr/bin/env bash
# Extraction for question answering: the base model and every trained model of squad_v2. Options are passed on
# (try --help); without --config the study is $REPDRIFT_CONFIG or studies/lora_vs_full.yaml.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
. "$here/../python.sh"
exec "$PYTHON" "$here/extract_representations.py" --task squad_v2 "$@"
