"""Settings of intruder dimensions, described once for the study file and for `repdrift compare`.

Source: Shuttleworth et al. 2024, whose defaults are taken.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

IntruderDirections = Annotated[
    int,
    Field(
        ge=1,
        le=1024,
        description="Leading singular vectors of each weight matrix among which intruder dimensions are looked for, and whose subspaces are aligned.",
    ),
]
IntruderCosine = Annotated[
    float,
    Field(
        gt=0,
        le=1,
        allow_inf_nan=False,
        description="A leading singular vector whose largest |cosine| with the base model's is below this is an intruder dimension.",
    ),
]
