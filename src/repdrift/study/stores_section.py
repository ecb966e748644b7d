"""The `stores:` section of a study: where base representations are shared, and where results are sent."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from repdrift.core.errors import ConfigError
from repdrift.stores.remote import USUAL_JOBS, require_address
from repdrift.study.user_paths import UserText, not_empty

Address = Annotated[UserText, BeforeValidator(not_empty)]


class StoresSection(BaseModel):
    """Stores of a study. None of it changes a result, and none is part of a key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base: Address | None = Field(
        default=None,
        description="Base representations are fetched from this store where it has them with the same key; null: never.",
    )
    push_base: bool = Field(
        default=False,
        description="Also send base representations there, if they were made here and it has none of that key.",
    )
    results: Address | None = Field(
        default=None,
        description="Runs, representations, outcomes and results are sent to this store as soon as each is there.",
    )
    jobs: int = Field(default=USUAL_JOBS, ge=1, le=256, description="Files that move at the same time.")

    @field_validator("base", "results")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                require_address(value)
            except ConfigError as error:
                raise ValueError(str(error)) from error
        return value

    @model_validator(mode="after")
    def _consistent(self) -> StoresSection:
        if self.push_base and self.base is None:
            raise ValueError(
                "push_base: true needs base: the address of the store that base representations are sent to"
            )
        if self.base is None and self.results is None:
            raise ValueError("names no store: give base, results or both, or leave the section out")
        return self

    def require_elsewhere(self, base_dir: Path, results_dir: Path) -> None:
        """Raises ValueError if a store is a folder in which the study itself writes, or one around or inside of it."""
        own = {"base_dir": base_dir, "results_dir": results_dir}
        for field, address in (("base", self.base), ("results", self.results)):
            if address is None or "://" in address:
                continue
            place = Path(address).absolute()
            for name, folder in own.items():
                if (
                    place == folder.absolute()
                    or place in folder.absolute().parents
                    or folder.absolute() in place.parents
                ):
                    raise ValueError(
                        f"stores.{field}: {address} and {name} ({folder}) are one folder, or one lies in the other; a store is another place"
                    )
