"""Representation sets: written, read and checked on disk, and copied elsewhere.

The life of a set in its folder:

    nothing
       |   the first batch arrives
       v
    unfinished    .partial/layer_0.pt ...    full size from the start; each batch fills its rows, in any order
       |  ^       .partial/journal.jsonl     what is being written, and which batches have arrived, with checksums
       |  |
       |  +---    killed, an error, a full disk: the next writer of the same key checks the checksums and goes on
       |
       |   finish(): every row is there; the files move up into the folder; metadata.json is written last
       v
    finished      layer_0.pt ..., adapter_weights/, metadata.json
       |
       |   a writer of the same key finds it and writes nothing
       |   a writer of another key removes it when its own first batch arrives: metadata.json first, then the files
       v
    replaced      unfinished again, under the other key

Two rules follow. A folder without metadata.json is never taken for a finished set. A set of one key never gets a file of
another key. An unfinished set of another key is removed in the same way as a finished one, its journal first.
One process at a time writes a set: it holds the lock file `.NAME.lock` beside the folder.

Where to find things:

    set_writer      write a set             set_reader      read a finished set
    unfinished_set  the files in `.partial`, open for writing, with `journal`, `layer_files`, `row_batch`, `digests`, `background`
    set_folder      names, lock, and the steps by which files move or go
    payload         the bytes of one layer's file (`zip_container`: of the archive that torch.load reads)
    verification    what is wrong with a set
    disk            system calls
    remote/         push, pull, ls and verify of stores elsewhere
"""

from repdrift.stores.set_folder import discard_set
from repdrift.stores.set_reader import RepresentationSet, existing_key, finished_set, open_set
from repdrift.stores.set_writer import RepresentationSetWriter
from repdrift.stores.verification import Fault, find_sets, verify_set

__all__ = [
    "Fault",
    "RepresentationSet",
    "RepresentationSetWriter",
    "discard_set",
    "existing_key",
    "find_sets",
    "finished_set",
    "open_set",
    "verify_set",
]
