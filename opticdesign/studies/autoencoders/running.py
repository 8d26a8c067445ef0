"""Running an autoencoder study: every pair, latent size and seed trained once and filed, then a table and a figure.

OUTPUT/results/<digest>/  one JSON file for each pair, latent size and seed
OUTPUT/<study>.*          json, csv, md, png
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from opticdesign.data.digits import read_digits, stand_in_digits
from opticdesign.errors import DataError, StudyStopped
from opticdesign.learning.evaluation import crossed_interval
from opticdesign.learning.metrics import psnr_db, ssim
from opticdesign.processes import one_thread
from opticdesign.randomness import numpy_stream
from opticdesign.runs.run_folder import environment
from opticdesign.storage import try_folder, write_text
from opticdesign.studies.autoencoders.figure import draw_autoencoders
from opticdesign.studies.autoencoders.networks import (
    DOMAINS,
    PAIRS,
    Domain,
    Pair,
    principal_components,
    reconstruct_digits,
    target_of,
    train_autoencoder,
)
from opticdesign.studies.autoencoders.schema import AutoencoderStudy, IdxData
from opticdesign.studies.autoencoders.table import CONSTANT, PCA, AutoencoderResult, AutoencoderRow
from opticdesign.studies.files import refuse_other_files, study_stem, write_study
from opticdesign.studies.scheduling import StudyOptions, study_folder

__all__ = ["run_autoencoder_study"]

_EXAMPLES = 8  # test digits whose reconstructions are kept for the figure


@dataclass(frozen=True)
class _Digits:
    """Digits 0 … 1, each part (n, y, x)."""

    train: Tensor
    validation: Tensor
    test: Tensor


@dataclass(frozen=True)
class _Job:
    """One training: a function of these, the study's digest, and nothing else."""

    pair: Pair
    latent: int
    seed: int

    @property
    def file(self) -> str:
        """Name of the file of its result."""
        return f"{self.pair.domain}-{self.pair.encoder}-{self.pair.decoder}-latent{self.latent}-seed{self.seed}.json"


@dataclass(frozen=True)
class _Scores:
    """Scores of each test image, the mean over validation images, and the first test images as grey values 0 … 255."""

    psnr_db: list[float]
    ssim: list[float]
    validation_psnr_db: float
    examples: list[list[list[int]]]


def run_autoencoder_study(
    study: AutoencoderStudy,
    options: StudyOptions,
    on_news: Callable[[str], None],
    stop_asked: Callable[[], bool],
) -> AutoencoderResult:
    """Train what the study asks for and is not there yet; write the table and the figure.

    Several processes may work in one folder: they make the same files.

    Args:
        study: the study.
        options: where and how; on the CPU in any case, since the networks are small, with one thread a worker.
        on_news: hears a line for each training.
        stop_asked: whether the user asked to stop; trainings that are under way are finished and filed.

    Raises:
        StudyStopped: `stop_asked` became true; the same call continues.
        RunError: the folder holds files of another study.
        DataError, UsageError, DivergenceError, StorageError: as their names say.
    """
    output, quick = study_folder(study.name, options), options.quick
    refuse_other_files(output, study.kind, study.name, quick)
    study = study.quick() if quick else study
    grey = read_digits(Path(study.data.path)) if isinstance(study.data, IdxData) else stand_in_digits()
    digest = study.digest(hashlib.sha256(f"{grey.shape}".encode() + grey.tobytes()).hexdigest())
    digits = _split(grey, study)
    folder = output / "results" / digest[:16]
    try_folder(output)
    scores = _all_scores(study, digits, folder, options.workers, on_news, stop_asked)
    result = AutoencoderResult(
        name=study.name,
        quick=quick,
        images=(len(digits.train), len(digits.validation), len(digits.test)),
        study={**study.model_dump(mode="json"), "sha256": digest},
        rows=tuple(_rows(study, digits, scores)),
        notes=tuple(_notes(study, digits, quick)),
    )
    write_study(output, result, {**asdict(result), "environment": environment("cpu", 1)})
    latent = sorted(study.latents)[len(study.latents) // 2]
    picture = output / f"{study_stem(study.name, quick)}.png"
    draw_autoencoders(picture, result, _strips(study, digits, scores, latent), latent)
    return result


def _split(grey: NDArray[np.uint8], study: AutoencoderStudy) -> _Digits:
    """The digits dealt out at random, the same way whatever the seeds."""
    count = len(grey)
    validation, test = (round(fraction * count) for fraction in study.split[1:])
    if min(validation, test, count - validation - test) < 1:
        raise DataError(
            study.data.path if isinstance(study.data, IdxData) else study.data.kind,
            f"{count} digits for a split of {study.split}",
            expected="one digit or more in each part",
            remedy="take more digits, or change split",
        )
    order = numpy_stream(0, "digit split").permutation(count)
    shuffled = torch.from_numpy(grey[order]).float() / 255.0
    held_out = validation + test
    return _Digits(shuffled[held_out:], shuffled[:validation], shuffled[validation:held_out])


def _all_scores(
    study: AutoencoderStudy,
    digits: _Digits,
    folder: Path,
    workers: int,
    on_news: Callable[[str], None],
    stop_asked: Callable[[], bool],
) -> dict[_Job, _Scores]:
    """Stored scores, and those of what has to be trained."""
    jobs = [_Job(pair, latent, seed) for seed in study.seeds for latent in study.latents for pair in PAIRS]
    found = {job: _stored(folder / job.file, job) for job in jobs}
    scores = {job: stored for job, stored in found.items() if stored is not None}
    if scores:
        on_news(f"{len(scores)} of {len(jobs)} trainings are filed already")
    # the networks are small, and sums in another order would change the last digits
    with one_thread(), ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        waiting = {pool.submit(_train, job, study, digits, folder): job for job in jobs if job not in scores}
        try:
            for future in as_completed(waiting):
                job = waiting[future]
                scores[job] = future.result()
                psnr = float(np.mean(scores[job].psnr_db))
                what = f"{job.pair.domain} {job.pair.name}, {job.latent} numbers, seed {job.seed}"
                on_news(f"[{len(scores)}/{len(jobs)}] {what}: PSNR {psnr:.2f} dB")
                if len(scores) < len(jobs) and stop_asked():
                    raise StudyStopped(f"stopped safely in {folder}")
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    return scores


def _train(job: _Job, study: AutoencoderStudy, digits: _Digits, folder: Path) -> _Scores:
    model = train_autoencoder(job.pair, job.latent, job.seed, study, digits.train)

    def compare(part: Tensor) -> tuple[Tensor, Tensor]:
        return reconstruct_digits(model, job.pair, part, study.phase_range), target_of(
            job.pair, part, study.phase_range
        )

    images, targets = compare(digits.test)
    peak = float(target_of(job.pair, torch.ones(()), study.phase_range))
    grey = (images[:_EXAMPLES] / peak * 255.0).round().clamp(0.0, 255.0)
    scores = _Scores(
        psnr_db=_rounded(psnr_db(images, targets)),
        ssim=_rounded(ssim(images, targets)),
        validation_psnr_db=_rounded(psnr_db(*compare(digits.validation)).mean()[None])[0],
        examples=grey.to(torch.uint8).tolist(),
    )
    content = {"job": asdict(job), "scores": asdict(scores)}
    write_text(folder / job.file, json.dumps({"format": 1, **content, "sha256": _sha256(content)}) + "\n")
    return scores


def _rounded(values: Tensor) -> list[float]:
    return [round(value, 6) for value in values.tolist()]


def _stored(path: Path, job: _Job) -> _Scores | None:
    """The scores of a file; none where there is none or it is damaged, and the training is to be done."""
    try:
        record = json.loads(path.read_text("utf-8"))
        content = {"job": record["job"], "scores": record["scores"]}
        whole = record["job"] == asdict(job) and record["sha256"] == _sha256(content)
        return _Scores(**record["scores"]) if whole else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _sha256(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _rows(study: AutoencoderStudy, digits: _Digits, scores: dict[_Job, _Scores]) -> Iterator[AutoencoderRow]:
    for domain in DOMAINS:
        pairs = [pair for pair in PAIRS if pair.domain == domain]
        yield _constant_row(study, digits, pairs[0])
        for latent in sorted(study.latents):
            if domain == "image":
                yield _component_row(digits, latent)
            for pair in pairs:
                seeds = [scores[_Job(pair, latent, seed)] for seed in study.seeds]
                yield _row(domain, pair.name, latent, seeds, len(seeds))


def _constant_row(study: AutoencoderStudy, digits: _Digits, pair: Pair) -> AutoencoderRow:
    """The image that is everywhere the mean of the training targets."""
    train, validation, test = (
        target_of(pair, part, study.phase_range) for part in (digits.train, digits.validation, digits.test)
    )
    mean = train.mean()
    untrained = _untrained(mean.expand_as(validation), validation, mean.expand_as(test), test)
    return _row(pair.domain, CONSTANT, None, [untrained], 0)


def _component_row(digits: _Digits, latent: int) -> AutoencoderRow:
    """The least error that the linear encoder and the linear decoder could reach together."""
    validation, test = (principal_components(digits.train, part, latent) for part in (digits.validation, digits.test))
    return _row("image", PCA, latent, [_untrained(validation, digits.validation, test, digits.test)], 0)


def _untrained(validation: Tensor, validation_target: Tensor, test: Tensor, test_target: Tensor) -> _Scores:
    return _Scores(
        psnr_db=_rounded(psnr_db(test, test_target)),
        ssim=_rounded(ssim(test, test_target)),
        validation_psnr_db=float(psnr_db(validation, validation_target).mean()),
        examples=[],
    )


def _row(domain: Domain, name: str, latent: int | None, scores: Sequence[_Scores], trained: int) -> AutoencoderRow:
    return AutoencoderRow(
        domain=domain,
        name=name,
        latent=latent,
        seeds=trained,
        psnr_db=crossed_interval([one.psnr_db for one in scores]),
        ssim=crossed_interval([one.ssim for one in scores]),
        validation_psnr_db=float(np.mean([one.validation_psnr_db for one in scores])),
    )


def _notes(study: AutoencoderStudy, digits: _Digits, quick: bool) -> Iterator[str]:
    if quick:
        yield "quick: smoke budget, no result"
    count = len(study.seeds)
    yield (
        f"means over {count} seed{'s' if count > 1 else ''} and {len(digits.test)} test images "
        "[95 % interval over both; over images only where nothing is trained, or with one seed]"
    )
    top = float(target_of(PAIRS[-1], torch.ones(()), study.phase_range))
    yield f"data range 1; targets of phases are phase/2π, 0 to {top:g}, so that their scores are not those of images"
    yield f"nonlinear parts have one hidden layer of {study.hidden} units; {study.training.steps} steps"
    if not isinstance(study.data, IdxData):
        yield "stand-in digits: 64 numbers describe each whole, so that large codes mean little"


def _strips(
    study: AutoencoderStudy, digits: _Digits, scores: dict[_Job, _Scores], latent: int
) -> dict[Domain, dict[str, Tensor]]:
    """True digits and their reconstructions by each pair, as parts of full ink."""
    strips: dict[Domain, dict[str, Tensor]] = {}
    for pair in PAIRS:
        examples = scores[_Job(pair, latent, study.seeds[0])].examples
        strip = strips.setdefault(pair.domain, {"true": digits.test[:_EXAMPLES]})
        strip[pair.name] = torch.tensor(examples, dtype=torch.float32) / 255.0
    return strips
