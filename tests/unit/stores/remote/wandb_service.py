"""A stand-in for the service behind W&B's client: it keeps versions of artifacts in memory.

The artifacts, their manifests and checksums are those of the real client; replaced are the calls that reach the service: `Api`,
`init` with the run that it gives, and the download of an entry.
"""

from pathlib import Path

import wandb
from wandb.sdk.artifacts.artifact_manifest import ArtifactManifest


class Service:
    """What the module `wandb` is to repdrift. uploaded: the contents that were sent, by name, in order."""

    def __init__(self):
        self.versions = []
        self.contents = {}
        self.uploaded = []
        self.aliases = {}
        self.before_logging = []
        self.is_gone = False

    def setup(self):
        return type("Setup", (), {"settings": type("Settings", (), {"mode": "online"})})

    def Artifact(self, name, type):  # noqa: N802, A002
        return wandb.Artifact(name, type=type)

    def Api(self):  # noqa: N802
        return Api(self)

    def init(self, **_):
        if self.is_gone:
            raise ConnectionError("api_key=0123456789abcdef0123456789abcdef01234567 was refused")
        return Run(self)


class Api:
    def __init__(self, service):
        self.service = service

    def _number(self, name):
        alias = name.rpartition(":")[2]
        if alias.removeprefix("v").isdigit():
            return int(alias.removeprefix("v"))
        return self.service.aliases.get(alias, len(self.service.versions))

    def artifact_exists(self, name, type):  # noqa: A002
        assert type == "representations"
        if self.service.is_gone:
            raise ConnectionError("no route to the service")
        return self._number(name) < len(self.service.versions)

    def artifact(self, name, type):  # noqa: A002
        assert type == "representations"
        return self.service.versions[self._number(name)]


class Version:
    def __init__(self, service, number, name, manifest):
        self.service, self.version, self.name, self.manifest = service, f"v{number}", name, manifest

    def get_entry(self, name):
        return Entry(self.service, self.manifest.entries[name])

    def new_draft(self):
        draft = wandb.Artifact(self.name, type="representations")
        draft._manifest = ArtifactManifest.from_manifest_json(self.manifest.to_manifest_json(), draft.digest_algorithm)
        return draft

    def wait(self):
        return self


class Entry:
    def __init__(self, service, entry):
        self.service, self.path, self.digest, self.size = service, entry.path, entry.digest, entry.size

    def download(self, root, skip_cache):
        assert skip_cache
        if self.service.is_gone:
            raise ConnectionError("no route to the service")
        target = Path(root) / self.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(self.service.contents[self.digest])
        return str(target)


class Run:
    disabled = offline = False

    def __init__(self, service):
        self.service = service

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False

    def log_artifact(self, artifact, aliases):
        for act in self.service.before_logging[:1]:
            self.service.before_logging.pop(0)
            act()
        for name, entry in artifact.manifest.entries.items():
            if entry.local_path is not None:
                self.service.contents[entry.digest] = Path(entry.local_path).read_bytes()
                self.service.uploaded.append(name)
        version = Version(self.service, len(self.service.versions), artifact.name.partition(":")[0], artifact.manifest)
        for entry in version.manifest.entries.values():
            entry.local_path = None
        self.service.versions.append(version)
        self.service.aliases |= dict.fromkeys(aliases, len(self.service.versions) - 1)
        return version
