"""Changes what a finished file says and makes its checksums right again, as a careful forger or an older version would."""

import json

from repdrift.core.fingerprint import file_sha256
from repdrift.core.records.base import CHECKSUM_KEY
from repdrift.core.records.representation_set import METADATA_FILE, SetMetadata


def edit_record(path, change):
    """Apply `change` to the content of a record's file, which then has no checksum, like one of an older version."""
    content = json.loads(path.read_text())
    content.pop(CHECKSUM_KEY, None)
    change(content)
    path.write_text(json.dumps(content))


def reseal_set(folder):
    """Put the checksums of the files as they are now into the metadata of the set in `folder`."""
    metadata = SetMetadata.read(folder / METADATA_FILE)
    files = {name: file_sha256(folder / name) for name in metadata.files}
    metadata.model_copy(update={"files": files}).write(folder / METADATA_FILE)
