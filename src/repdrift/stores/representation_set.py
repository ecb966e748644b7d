"""A representation set on disk: one file a layer, metadata last; without metadata it is unfinished.

The face of the room: writing is in `set_writer`, reading in `opening`, checking in `verification`.
"""

from repdrift.stores.names import is_payload_name
from repdrift.stores.opening import RepresentationSet, existing_key, finished_set, open_set
from repdrift.stores.placement import discard_set
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
    "is_payload_name",
    "open_set",
    "verify_set",
]
