"""Notes on settings in which a tuned model's configuration differs from the base model's, and that change hidden states."""

from __future__ import annotations

from typing import Any

from repdrift.models import setting_differences

_SHOWN = 3


def setting_notes(base: Any, tuned: Any) -> list[str]:
    """A sentence on what differs in two configurations of one model type, or nothing.

    base, tuned: configurations as transformers reads them, in which every setting that is not stated has its default.
    """
    differ = setting_differences(base, tuned) if base.model_type == tuned.model_type else []
    if not differ:
        return []
    more = f" and {len(differ) - _SHOWN} more" if len(differ) > _SHOWN else ""
    return [
        f"Its configuration has other settings than the base model's: {', '.join(differ[:_SHOWN])}{more}. It was run with its own, so a part "
        "of its drift may come from these and not from its weights."
    ]
