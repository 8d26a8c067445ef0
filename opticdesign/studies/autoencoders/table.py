"""The table of an autoencoder study: each pair at each latent size, beside what needs no training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from opticdesign.learning.evaluation import Score
from opticdesign.studies.autoencoders.networks import Domain
from opticdesign.studies.files import score_cells

__all__ = ["CONSTANT", "PCA", "AutoencoderResult", "AutoencoderRow"]

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

    @property
    def mark(self) -> Literal["failed", "floor", ""]:
        """What sets the row apart in its table."""
        return "" if self.seeds else "floor"


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
        kind: kind of study.
    """

    name: str
    quick: bool
    images: tuple[int, int, int]
    study: dict[str, Any]
    rows: tuple[AutoencoderRow, ...]
    notes: tuple[str, ...]
    kind: Literal["autoencoders"] = "autoencoders"

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

    def records(self) -> list[dict[str, Any]]:
        """The rows for programs."""
        return [
            {"domain": row.domain, "name": row.name, "latent": row.latent, "seeds": row.seeds}
            | score_cells("psnr_db", row.psnr_db)
            | score_cells("ssim", row.ssim)
            | {"validation_psnr_db": row.validation_psnr_db, "quick": self.quick}
            for row in self.rows
        ]

    def remarks(self) -> dict[str, Sequence[str]]:
        """What is said below the table."""
        return {"Notes": self.notes}
