"""The table of an autoencoder study: each pair at each latent size, beside what needs no training."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from opticdesign.autoencoders import Domain
from opticdesign.evaluation import Score
from opticdesign.storage import write_json, write_text

__all__ = ["CONSTANT", "PCA", "AutoencoderResult", "AutoencoderRow", "write_table"]

CONSTANT = "constant image"
"""Name of the row of the image that is everywhere the mean of the training targets."""

PCA = "principal components"
"""Name of the row of the least squared error that a linear encoder and decoder can reach on the training digits."""


@dataclass(frozen=True)
class AutoencoderRow:
    """Scores of one pair at one latent size, or of a floor.

    Args:
        domain: "image" or "phase".
        name: the pair, or the floor.
        latent: numbers in the code; None for the constant image, which has no code.
        seeds: trainings in the mean; 0 where nothing is trained.
        psnr_db: of test images, for a data range of 1, with its 95 % interval over seeds and images.
        ssim: of test images, for a data range of 1, likewise.
        validation_psnr_db: mean over validation images and seeds, for choosing sizes and rates.
    """

    domain: Domain
    name: str
    latent: int | None
    seeds: int
    psnr_db: Score
    ssim: Score
    validation_psnr_db: float


@dataclass(frozen=True)
class AutoencoderResult:
    """The whole table.

    Args:
        name: name of the study.
        quick: whether all rows are from the smoke budget, which is no result.
        images: digits for training, validation and test.
        study: the resolved study, and the SHA-256 that its stored results are filed under.
        rows: floors and pairs, images before phases, small codes before large.
        notes: what the numbers are.
    """

    name: str
    quick: bool
    images: tuple[int, int, int]
    study: dict[str, Any]
    rows: tuple[AutoencoderRow, ...]
    notes: tuple[str, ...]

    def of(self, domain: Domain, name: str) -> list[AutoencoderRow]:
        """The rows of one pair or floor, by latent size."""
        return [row for row in self.rows if (row.domain, row.name) == (domain, name)]

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Headings, and the cells of each row, as text."""
        headings = ["digits as", "autoencoder", "latent", "seeds", "PSNR / dB", "SSIM", "PSNR validation / dB"]
        return headings, [
            [
                row.domain,
                row.name,
                "–" if row.latent is None else str(row.latent),
                str(row.seeds) if row.seeds else "–",
                row.psnr_db.text(2),
                row.ssim.text(3),
                f"{row.validation_psnr_db:.2f}",
            ]
            for row in self.rows
        ]


def write_table(folder: Path, result: AutoencoderResult, environment: dict[str, Any]) -> None:
    """Write autoencoders.json, autoencoders.csv and autoencoders.md into a folder.

    Raises:
        StorageError: the disk refused.
    """
    write_json(folder / "autoencoders.json", {**asdict(result), "environment": environment})
    write_text(folder / "autoencoders.csv", _csv(result))
    write_text(folder / "autoencoders.md", "\n".join(_markdown(result)) + "\n")


def _csv(result: AutoencoderResult) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    spread = [f"{metric}{end}" for metric in ("psnr_db", "ssim") for end in ("", "_low", "_high")]
    writer.writerow(["domain", "name", "latent", "seeds", *spread, "validation_psnr_db", "quick"])
    for row in result.rows:
        scores = [value for score in (row.psnr_db, row.ssim) for value in (score.mean, score.low, score.high)]
        writer.writerow([row.domain, row.name, row.latent, row.seeds, *scores, row.validation_psnr_db, result.quick])
    return text.getvalue()


def _markdown(result: AutoencoderResult) -> Iterator[str]:
    headings, rows = result.table()
    yield from (f"# {result.name}", "")
    for cells in (headings, ["---"] * len(headings), *rows):
        yield f"| {' | '.join(cells)} |"
    yield ""
    yield from (f"- {note}" for note in result.notes)
