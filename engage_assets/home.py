"""Where the embedded deployment keeps everything: the folder `ENGAGE_HOME`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Home:
    """The folder and the parts in it."""

    root: Path

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "Home":
        """The folder `ENGAGE_HOME`, default `.engage` in the working directory."""
        return cls(Path(environment.get("ENGAGE_HOME") or ".engage").absolute())

    @property
    def warehouse(self) -> Path:
        """Input tables: `<database>/<table>.parquet`."""
        return self.root / "warehouse"

    @property
    def logs(self) -> Path:
        """Raw log events: `<service>/<UTC day of arrival>.ndjson`, `.json` or `.parquet`, or a folder of such."""
        return self.warehouse / "logs"

    @property
    def lake(self) -> Path:
        """What assets write: `<asset key>/<partition>.parquet`."""
        return self.root / "lake"

    @property
    def export(self) -> Path:
        """The warehouse export and its catalogue."""
        return self.root / "export"

    @property
    def outbox(self) -> Path:
        """Messages of the dry run."""
        return self.root / "outbox"

    @property
    def models(self) -> Path:
        """Trained models."""
        return self.root / "models"

    @property
    def candidates(self) -> Path:
        """The candidate store."""
        return self.root / "candidates.db"

    @property
    def scores(self) -> Path:
        """The score cache."""
        return self.root / "scores.db"

    @property
    def ledger_url(self) -> str:
        """The ledger."""
        return f"sqlite:///{self.root / 'ledger.db'}"

    @property
    def signing_keys(self) -> Path:
        """Keys of links; only the owner may read the file."""
        return self.root / "signing-keys.json"

    @property
    def photos(self) -> Path:
        """Photos that people gave with their answers."""
        return self.root / "photos"

    @property
    def watermark(self) -> Path:
        """How far the ledger had come when this home last delivered."""
        return self.root / "ledger.mark"

    @property
    def changes(self) -> Path:
        """Change files, which the demand archive reads."""
        return self.root / "changes"

    @property
    def archive(self) -> Path:
        """The demand archive: `data/` and, for its owner only, `errors/`."""
        return self.root / "archive"

    @property
    def archive_state(self) -> Path:
        """How far the demand archive is."""
        return self.root / "archive.db"

    @property
    def archive_mirror(self) -> Path:
        """The demand archive as SQL reads it."""
        return self.root / "archive-mirror"

    @property
    def archive_exports(self) -> Path:
        """Which answers of `engage sql` were saved to files: an erasure looks at them too."""
        return self.root / "archive-exports.jsonl"

    @property
    def dagster(self) -> Path:
        """Dagster's own records."""
        return self.root / "dagster"
