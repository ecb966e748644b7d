"""The stores of a study at work: base sets are fetched before they would be extracted, and what is finished is sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from repdrift.core.errors import MissingRunError, RepdriftError, StorageError
from repdrift.core.process_group import world
from repdrift.core.progress import say
from repdrift.core.records.representation_set import BASE_METHOD
from repdrift.extraction import ExtractionJob
from repdrift.stores.remote import Remote, found_to_share, joined, open_remote, push_folders
from repdrift.study.shared_base_sets import SharedBaseSets
from repdrift.study.stores_section import StoresSection


@dataclass
class StudyStores:
    """Reads base sets from a store and sends to stores, as the study's section says; without a section it does nothing.

    What could not be sent is kept in mind, since hours of work must not end for it: `require_sent` raises it at the end.
    """

    section: StoresSection | None
    results_dir: Path
    _unsent: dict[Path, str] = field(default_factory=dict, init=False)

    def require_reachable(self, tasks: Sequence[str]) -> None:
        """Raises what would stop a study at its first use of a store: no such place, no access, or nothing there for these tasks."""
        if self._results is not None:
            self._results.require_sending()
        if self._base is None or self.section is None:
            return
        if self.section.push_base:
            self._base.remote.require_sending()
        elif not any(map(self._base.holds, tasks)):
            raise MissingRunError(
                f"stores.base: {self._base.remote.address} holds nothing for {', '.join(tasks)}. Check the address, or fill it: push_base: true "
                "sends the base representations there that this study makes."
            )

    def before_extraction(self, job: ExtractionJob, folder: Path) -> None:
        """Fetch a set of the base model into `folder`, if it is not here and the store has it. Raises what `SharedBaseSets.fetch` raises."""
        if self._base is None or not _is_base(job):
            return
        with world().together(f"fetching the base set of {job.task}"):
            if world().is_first:
                self._base.fetch(job, folder)

    def after_extraction(self, job: ExtractionJob, folder: Path) -> None:
        """Send a finished set: one of the base model to `base`, if the study says so, and any other to `results`."""
        if not _is_base(job):
            self.send(folder)
        elif self._base is not None and self.section is not None and self.section.push_base and world().is_first:
            base = self._base
            self._attempt(folder, lambda: base.send(job, folder))

    def send(self, folder: Path) -> None:
        """Send what is finished in a folder below the results folder, if the study says so. A failure is said, and kept in mind."""
        own = self.results_dir.absolute()
        if self._results is not None and world().is_first and own in (folder.absolute(), *folder.absolute().parents):
            results, below = self._results, folder.absolute().relative_to(own).as_posix()
            self._attempt(folder, lambda: self._send(results, folder, below))

    def _send(self, results: Remote, folder: Path, below: str) -> None:
        found = found_to_share(folder)
        if found:
            named = [replace(each, name=below if each.name == "." else joined(below, each.name)) for each in found]
            push_folders(named, results, jobs=1 if self.section is None else self.section.jobs)

    def _attempt(self, folder: Path, send: Callable[[], None]) -> None:
        try:
            send()
        except RepdriftError as error:
            self._unsent[folder] = str(error)
            say(f"{folder} is finished, and was not sent: {error}")
        else:
            self._unsent.pop(folder, None)

    def send_all(self) -> None:
        """Send all that is finished in the results folder and not in the store yet. Raises what `require_sent` raises."""
        self._unsent.clear()
        self.send(self.results_dir)
        self.require_sent()

    def require_sent(self) -> None:
        """Raises StorageError if something that is finished could not be sent."""
        if self._unsent:
            folder, reason = next(iter(self._unsent.items()))
            raise StorageError(
                f"all that was asked for is finished here, but {len(self._unsent)} folder(s) were not sent, such as {folder}: {reason} Run the same "
                "command again: nothing is computed anew."
            )

    @cached_property
    def _base(self) -> SharedBaseSets | None:
        section = self.section
        return (
            None if section is None or section.base is None else SharedBaseSets(open_remote(section.base), section.jobs)
        )

    @cached_property
    def _results(self) -> Remote | None:
        section = self.section
        return None if section is None or section.results is None else open_remote(section.results)


def _is_base(job: ExtractionJob) -> bool:
    return job.method == BASE_METHOD and job.tuned is None
