"""An exporter without `read`."""

from pathlib import Path

from opticdesign.handover.export import ExportedFile, ExportJob, WrittenFiles


class Raw8Exporter:
    """Levels, a byte each, and nothing else: the file alone does not say what they are of."""

    name, summary, usual = "raw8", "levels as bytes, for a machine that only takes them", False

    def write(self, job: ExportJob, folder: Path) -> WrittenFiles:
        (folder / self.name).mkdir()
        (folder / self.name / "masks.raw8").write_bytes(job.levels.tobytes())
        return WrittenFiles([ExportedFile(f"{self.name}/masks.raw8", "levels", "none")], {})
