#!/usr/bin/env bash
# Brings the base model's representations into base_representations/, verified; run it again to go on where it stopped.
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: bash scripts/download_base_representations.sh [options]

  --task TASK         squad_v2, mrpc, sst2, rte or all (may be repeated; default: all)
  --source URL        a folder or any fsspec URL, such as s3://bucket/base_representations
  --entity NAME       Weights & Biases entity    (default: $WANDB_ENTITY)
  --project NAME      Weights & Biases project   (default: $WANDB_PROJECT)
  --artifact NAME     Weights & Biases artifact, with or without :alias (default: base_representations)
  --output-dir DIR    default: base_representations
  --help

Without --source, $REPDRIFT_BASE_SOURCE is taken; without that, the artifact.

Examples:
  bash scripts/download_base_representations.sh --task mrpc --source s3://my-bucket/base_representations
  bash scripts/download_base_representations.sh --entity my-team --project drift --artifact base_representations:v3
TEXT
}

source="${REPDRIFT_BASE_SOURCE:-}"
entity="${WANDB_ENTITY:-}"
project="${WANDB_PROJECT:-}"
artifact="base_representations"
arguments=()
while [ $# -gt 0 ]; do
    case "$1" in
        --help | -h) usage; exit 0 ;;
        --task | --source | --entity | --project | --artifact | --output-dir)
            [ $# -ge 2 ] || { echo "error: $1 needs a value (see --help)" >&2; exit 2; }
            case "$1" in
                --source) source="$2" ;;
                --entity) entity="$2" ;;
                --project) project="$2" ;;
                --artifact) artifact="$2" ;;
                *) arguments+=("$1" "$2") ;;
            esac
            shift 2 ;;
        *) echo "error: unknown option $1 (see --help)" >&2; exit 2 ;;
    esac
done
if [ -z "$source" ]; then
    if [ -z "$entity" ] || [ -z "$project" ]; then
        echo "error: where from? Give --source URL, or --entity and --project of a W&B artifact (see --help)." >&2
        exit 2
    fi
    source="wandb://$entity/$project/$artifact"
fi
. "$(dirname "${BASH_SOURCE[0]}")/python.sh"
exec "$PYTHON" -m repdrift pull "$source" ${arguments[@]+"${arguments[@]}"}
