"""The study as the user gave it: its name or file, and the fields that were set beside it, for commands in messages and results."""

from __future__ import annotations

from collections.abc import Sequence

OPTION = "--set"


class StudyPath(str):
    """The name of a study with overrides. It is a text, so that whoever needs the file or the name alone takes it as one."""

    __slots__ = ("overrides",)
    overrides: tuple[str, ...]

    def __new__(cls, name: str, overrides: Sequence[str]) -> StudyPath:
        """Make the name of a study with overrides, each as it was given: `training.all.epochs=1`."""
        made = super().__new__(cls, name)
        made.overrides = tuple(overrides)
        return made


def given_study(name: str | None, overrides: Sequence[str]) -> str | None:
    """Returns the name with the overrides, where there are any."""
    return StudyPath(name, overrides) if name is not None and overrides else name


def overrides_of(config_path: str | None) -> tuple[str, ...]:
    """The overrides beside the name of a study."""
    return config_path.overrides if isinstance(config_path, StudyPath) else ()


def override_words(config_path: str | None) -> list[str]:
    """The words of a command that repeat the overrides."""
    return [word for text in overrides_of(config_path) for word in (OPTION, text)]


def config_words(config_path: str | None) -> list[str]:
    """The words of a command that name a study: its name behind --config, and each override; none for the default study."""
    return [] if config_path is None else ["--config", str(config_path), *override_words(config_path)]
