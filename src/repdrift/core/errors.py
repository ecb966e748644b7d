"""The one error tree of repdrift.

    RepdriftError
    ├── ConfigError            (ValueError)         a study file or option is wrong; lists every fault
    ├── UnknownNameError       (LookupError)        a task, method, layer, measure that does not exist
    ├── DataError              (ValueError)         a data file is missing, empty or malformed
    ├── ShapeError             (ValueError)         arrays whose shapes do not fit together
    ├── DegenerateInputError   (ValueError)         constant input: the measure is undefined
    ├── NonFiniteError         (ValueError)         NaN or Inf, with layer and sample
    ├── SampleSetMismatchError (ValueError)         two representation sets of different samples
    ├── UnfinishedSetError     (RuntimeError)       a representation set without its metadata
    ├── CorruptSetError        (RuntimeError)       a representation set that fails its checksums
    ├── MissingRunError        (FileNotFoundError)  a trained model that is not there
    ├── ModelError             (ValueError)         a model that cannot be loaded or has no blocks
    │   └── OutcomeNotApplicable                    an outcome that these models do not have; its message is the reason
    ├── UnfinishedStudyError   (RuntimeError)       a study of which jobs failed; names them, and what they stopped
    ├── StorageError           (OSError)            a full disk, a target that cannot be written
    ├── InsufficientMemoryError (MemoryError)       more memory is needed than is free
    └── MissingDependencyError (ImportError)        an optional package that is not installed

Messages say what was expected, what was found, where, and what to do next. The command line prints them as
one readable message and exits non-zero; anything that is not a `RepdriftError` is a defect of ours.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from repdrift.core.hidden_secrets import without_secrets


class RepdriftError(Exception):
    """Root of every error that repdrift raises on purpose. Its message holds no secret, whatever it quotes."""

    def __init__(self, *args: object) -> None:
        super().__init__(*(without_secrets(arg) if isinstance(arg, str) else arg for arg in args))


class ConfigError(RepdriftError, ValueError):
    """A configuration or command-line option is wrong."""


class UnknownNameError(RepdriftError, LookupError):
    """A name is in no registry."""

    @classmethod
    def of(cls, kind: str, name: object, known: Iterable[object]) -> UnknownNameError:
        """Build the message for an unknown `name` of a `kind`, with the closest known name if one is near."""
        names = [str(k) for k in known]
        near = nearest_name(name, names)
        hint = f" Did you mean {near!r}?" if near else ""
        listed = ", ".join(names) if names else "none are registered"
        return cls(f"unknown {kind} {str(name)!r}.{hint} Known: {listed}.")


class DataError(RepdriftError, ValueError):
    """A data file is missing, empty or malformed."""


class ShapeError(RepdriftError, ValueError):
    """The shapes of arrays do not fit together."""


class DegenerateInputError(RepdriftError, ValueError):
    """Input does not vary, and the measure is undefined for it."""


class NonFiniteError(RepdriftError, ValueError):
    """There is NaN or Inf where finite numbers are needed."""


class SampleSetMismatchError(RepdriftError, ValueError):
    """Representations are of different samples, which must never be compared."""


class UnfinishedSetError(RepdriftError, RuntimeError):
    """A representation set was never completed."""


class CorruptSetError(RepdriftError, RuntimeError):
    """The files of a representation set differ from its metadata."""


class MissingRunError(RepdriftError, FileNotFoundError):
    """A trained model, or its representations, should be there and is not."""


class ModelError(RepdriftError, ValueError):
    """A model cannot be loaded, or no list of blocks is found in it."""


class OutcomeNotApplicable(ModelError):  # noqa: N818  it is a finding about the models, left out with its reason, and no fault
    """An outcome does not exist for these models or inputs: no such head, vocabularies that differ. The message says why."""


class UnfinishedStudyError(RepdriftError, RuntimeError):
    """Jobs of a study failed. The others are done, and the same command goes on."""


class StorageError(RepdriftError, OSError):
    """A file cannot be written or fetched."""


class InsufficientMemoryError(RepdriftError, MemoryError):
    """The memory that is needed is more than what is free."""


class MissingDependencyError(RepdriftError, ImportError):
    """An optional package is needed and not installed."""

    @classmethod
    def of(cls, package: str, extra: str, purpose: str) -> MissingDependencyError:
        """Build the message for a missing optional `package`, installed by the extra `extra`."""
        return cls(f"{purpose} needs the package {package!r}: pip install 'repdrift[{extra}]'")


def kind_of_error(error: RepdriftError) -> str:
    """Returns the name of the error's class in this module, which has a page in the documentation; of a subclass elsewhere, that of its parent here."""
    return next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == __name__)


def nearest_name(name: object, known: Iterable[object]) -> str | None:
    """Returns the name in `known` that is most like `name`, for "did you mean"; None if none is near."""
    close = difflib.get_close_matches(str(name), [str(k) for k in known], n=1, cutoff=0.5)
    return close[0] if close else None
