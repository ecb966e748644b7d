"""Transformations of features that can leave a measure as it is, by the words that people read.

A measure names those that do; `tests/laws` holds it to that, and to the change that all others make on some input.
"""

from __future__ import annotations

ORTHOGONAL = "rotation"
ISOTROPIC_SCALING = "scaling"
TRANSLATION = "translation"
FEATURE_PERMUTATION = "order of features"
PER_FEATURE_SCALING = "scaling of each feature"
SHARED_ROTATION = "rotation of both sides alike"

INVARIANCES = (
    ORTHOGONAL,
    ISOTROPIC_SCALING,
    TRANSLATION,
    FEATURE_PERMUTATION,
    PER_FEATURE_SCALING,
    SHARED_ROTATION,
)

DESCRIPTOR_INVARIANCES = (ORTHOGONAL, ISOTROPIC_SCALING, TRANSLATION, FEATURE_PERMUTATION, PER_FEATURE_SCALING)
"""Those that make sense of one representation."""

OF_SHAPE = frozenset({ORTHOGONAL, ISOTROPIC_SCALING, TRANSLATION, FEATURE_PERMUTATION, SHARED_ROTATION})
"""Invariances of a measure that sees the shape of the cloud of samples only: not how it is turned, how large it is or where."""

OF_SPAN = OF_SHAPE | {PER_FEATURE_SCALING}
"""Invariances of a measure that sees the space that the features span: any invertible linear map leaves it as it is."""

OF_DIRECTIONS = OF_SHAPE - {TRANSLATION}
"""Invariances of a measure of angles between raw rows."""

OF_FEATURES = frozenset({ISOTROPIC_SCALING, TRANSLATION, FEATURE_PERMUTATION})
"""Invariances of a measure that looks at single features."""

OF_STANDARDISED_FEATURES = OF_FEATURES | {PER_FEATURE_SCALING}
"""Invariances of a measure of features that are scaled to variance 1 first."""
