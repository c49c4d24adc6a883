"""Where the embedded deployment keeps everything: the folder `ENGAGE_HOME`."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Home:
    """The folder and the parts in it."""

    root: Path

    @property
    def warehouse(self) -> Path:
        """Input tables: `<database>/<table>.parquet`."""
        return self.root / "warehouse"

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
    def dagster(self) -> Path:
        """Dagster's own records."""
        return self.root / "dagster"
