from __future__ import annotations

import base64
import hashlib
import io
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from opticdesign.errors import StorageError
from opticdesign.tolerance.headline import headline
from opticdesign.tolerance.report import write_report
from opticdesign.tolerance.result import Estimate, ToleranceResult
from tests.support.example_study import LIMITS, draw_pictures, example_study, renamed

_VOID = {"meta", "link", "img", "br"}
CUT = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0"
EVIL = """<script>alert(1)</script>"'><img src=x onerror=alert(2)>$\\frac{{ 7*7 }}]]>--><b>"""


class Document(HTMLParser):
    """What a page says and holds; every element has to be closed where it was opened."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []
        self.scripts: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "script":
            self.scripts.append(data)
        elif self._open and self._open[-1] != "style":
            self.text.append(data)

    def values(self, *names: str) -> list[str]:
        return [value for name, value in self.attributes if name in names]

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def written(result: ToleranceResult, folder: Path) -> Document:
    draw_pictures(result, folder)
    return Document(write_report(result, folder).read_text("utf-8"))


def short(result: ToleranceResult) -> ToleranceResult:
    """The same study with fewer plots and pictures, for tests that are about something else."""
    return replace(result, curves=result.curves[:1], worst=result.worst[:1])


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Document:
    return written(example_study(), tmp_path_factory.mktemp("report"))


def test_page_is_the_same_bytes_twice_and_alone_in_its_folder(tmp_path: Path) -> None:
    result = replace(short(example_study()), worst=())
    first = write_report(result, tmp_path / "new" / "one")
    assert first == tmp_path / "new" / "one" / "report.html"
    assert first.read_bytes() == write_report(result, tmp_path / "two").read_bytes()
    assert [path.name for path in first.parent.iterdir()] == ["report.html"]


def test_page_asks_for_nothing_and_runs_one_script_that_its_policy_names(document: Document) -> None:
    (script,) = document.scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = (value for value in document.values("content") if "default-src" in value)
    assert policy.split("; ")[0] == "default-src 'none'"
    assert f"script-src 'sha256-{digest}'" in policy
    assert document.tags["script"] == 1
    assert document.tags["style"] == 1
    for link in document.values("href", "src"):
        assert link.startswith(("#", "data:"))
    assert not [name for name, _ in document.attributes if name.startswith("on")]


def test_every_name_in_the_page_is_given_once_and_every_reference_leads_somewhere(document: Document) -> None:
    names = Counter(document.values("id"))
    assert [name for name, count in names.items() if count > 1] == []
    inside = [link.removeprefix("#") for link in document.values("href") if link.startswith("#")]
    clips = [found for value in document.values("clip-path") for found in re.findall(r"url\(#([^)]+)\)", value)]
    assert len(clips) > 10
    assert set(inside) | set(clips) <= names.keys()


def test_page_says_the_verdict_with_its_exact_interval_and_how_it_was_found(document: Document) -> None:
    found = example_study().yield_found
    assert f"{100 * found.share.value:.1f} %" in document.words
    assert f"95 % interval {100 * found.share.low:.1f} % – {100 * found.share.high:.1f} %, exact" in document.words
    assert f"{found.passed} of 200 draws have PSNR ≥ 23.00 dB. Asked for: 75.0 % — met" in document.words
    for fact in ("seed 7", "draws 200", "sampler random", "test images 8", "31 parameters, 1 pixel field", "mode full"):
        assert fact in document.words


def test_page_holds_every_part_of_the_study(document: Document) -> None:
    result = example_study()
    headings = (
        "From design to device",
        "Spread and yield",
        "What matters",
        "One at a time",
        "Limits and budget",
        "Compensators",
        "Worst draws",
        "Convergence",
        "Tolerances",
        "Provenance",
    )
    for number, heading in enumerate(headings, start=1):
        assert f"{number} {heading}" in document.words
    for text in (
        "not exported",
        *result.notes,
        "height noise",
        "normal, σ = 200 nm",
        "±392 nm",
        "±1.96 mrad",
        "2.13.0",
        "--seed 7 --replay N",
    ):
        assert text in document.words
    for row in result.worst:
        assert f"Draw {row.index}: PSNR {row.metrics['psnr_db']:.2f} dB" in document.words
    assert sum(value.startswith("data:image/webp") for value in document.values("src")) == 10
    assert len(document.values("alt")) == 10


def test_every_plot_has_words_for_who_does_not_see_it(document: Document) -> None:
    labels = document.values("aria-label")
    groups = len({one.group for one in example_study().parameters})
    # histogram, yield, effects and two rankings, one for each group, compensators, convergence
    assert document.values("role").count("img") == 2 + 3 + groups + 2
    for beginning in (
        "Histogram of PSNR over 200 draws",
        "Yield against the limit on PSNR",
        "Effects of groups",
        "Rank correlations",
        "Sobol",
    ):
        assert any(label.startswith(beginning) for label in labels)


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    result = renamed(short(example_study()), "wavelength", EVIL)
    result = replace(
        result,
        name=EVIL,
        sampler=EVIL,
        fields={EVIL: EVIL},
        notes=(EVIL,),
        provenance={EVIL: {EVIL: EVIL}, "files": [EVIL]},
        stages=tuple(replace(stage, note=EVIL) for stage in result.stages),
        curves=tuple(replace(one, group=EVIL, parameter=result.parameters[0].name) for one in result.curves),
    )
    document = written(result, tmp_path)
    assert document.tags["script"] == 1
    assert document.tags["b"] == 0
    assert document.tags["img"] == 1
    assert not [name for name, _ in document.attributes if name.startswith("on")]
    assert document.words.count("<script>alert(1)</script>") > 8
    assert document.words.count("{{ 7*7 }}") > 8
    assert "<title>" not in document.words


def test_names_of_draws_and_metrics_that_a_lab_adds_itself_are_shown(tmp_path: Path) -> None:
    base = short(example_study())
    result = replace(
        base,
        metric="own_score",
        summaries={"own_score": base.summaries["psnr_db"]},
        draws=replace(base.draws, metrics={"own_score": base.draws.metrics["psnr_db"]}),
        worst=tuple(replace(draw, metrics={"own_score": 21.0}, picture=None) for draw in base.worst),
        curves=tuple(replace(one, metrics={"own_score": one.metrics["psnr_db"]}) for one in base.curves),
    )
    document = written(result, tmp_path)
    assert "own score" in document.words
    assert document.tags["img"] == 0


def test_metric_that_should_be_small_has_its_limit_above_and_its_bad_end_at_the_95th(tmp_path: Path) -> None:
    result = short(example_study("mae_rad"))
    document = written(result, tmp_path)
    found = result.yield_found
    assert f"{found.passed} of 200 draws have MAE ≤ {LIMITS['mae_rad']:.4f} rad" in document.words
    assert "95th percentile" in document.words
    assert result.compensators[0].after[0] < result.compensators[0].before[0]
    rows = re.findall(r"refocus worst 10 draws ([0-9.]+) ([0-9.]+) (−?[0-9.]+)", document.words)
    assert float(rows[0][1]) < float(rows[0][0])
    assert not rows[0][2].startswith("−")  # a smaller error is a gain


def test_parts_that_were_not_studied_are_left_out(tmp_path: Path) -> None:
    result = replace(
        short(example_study()),
        effects=(),
        ranking=(),
        curves=(),
        inverse=(),
        budget=None,
        compensators=(),
        worst=(),
        notes=(),
        fields={},
        quick=True,
    )
    document = written(result, tmp_path)
    assert "Quick: a smoke budget." in document.words
    assert "mode quick" in document.words
    for heading in ("What matters", "One at a time", "Limits and budget", "Compensators", "Worst draws"):
        assert heading not in document.words
    for number, heading in enumerate(("From design", "Spread", "Convergence", "Tolerances", "Provenance"), start=1):
        assert f"{number} {heading}" in document.words


@pytest.mark.parametrize(
    ("least", "word"), [(0.99, "not met"), (0.87, "met by the draws, but the lower bound is below it"), (0.5, "met")]
)
def test_yield_asked_for_is_compared_with_the_draws_and_with_the_lower_bound(
    tmp_path: Path, least: float, word: str
) -> None:
    result = replace(short(example_study()), worst=(), compensators=(), ranking=())
    document = written(replace(result, yield_found=replace(result.yield_found, least=least)), tmp_path)
    assert f"Asked for: {100 * least:.1f} % — {word} ." in document.words


def test_what_matters_most_is_said_once_at_the_top_with_how_sure_it_is(document: Document, tmp_path: Path) -> None:
    result = replace(short(example_study()), worst=())
    first, *_ = headline(result, "psnr_db")
    assert document.words.index(first) < document.words.index("From design to device")
    name = result.effects[0].group.replace("_", " ")
    assert f"matters most {name} alone it changes {result.effects[0].alone.value:.2f} dB" in document.words
    rows = [f"{one.group.replace('_', ' ')} {one.alone.value:.2f}" for one in result.effects]
    assert [document.words.index(row) for row in rows] == sorted(document.words.index(row) for row in rows)
    nothing = tuple(replace(row, alone=Estimate(0.0, 0.0, 0.0)) for row in result.effects)
    words = written(replace(result, effects=nothing), tmp_path).words
    assert "No error changes anything." in words and "matters most" not in words


def test_limit_that_was_not_reached_says_so(document: Document) -> None:
    (limit,) = (row for row in example_study().inverse if row.scale is None)
    assert limit.group == "tilt"
    assert "tilt ±1.96 mrad > × 8 not reached > ±15.7 mrad" in document.words


def test_study_of_one_draw_has_a_report(tmp_path: Path) -> None:
    document = written(replace(short(example_study(draws=1)), compensators=()), tmp_path)
    assert "of 1 draws" in document.words


@pytest.mark.parametrize(
    "content", [None, b"GIF89a", b"", b"\x89PNG\r\n\x1a\n", CUT], ids=["none", "GIF", "empty", "magic", "cut"]
)
def test_picture_that_is_missing_or_no_png_is_refused(tmp_path: Path, content: bytes | None) -> None:
    result = short(example_study())
    path = tmp_path / str(result.worst[0].picture)
    if content is not None:
        path.parent.mkdir()
        path.write_bytes(content)
    with pytest.raises(StorageError, match=path.name):
        write_report(result, tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_pictures_stand_in_the_page_much_smaller_and_look_the_same(tmp_path: Path) -> None:
    result = short(example_study())
    path = tmp_path / str(result.worst[0].picture)
    path.parent.mkdir()
    y, x = np.mgrid[:300, :400] / 40.0
    smooth = np.stack([np.sin(x), np.cos(x + y), np.sin(2.0 * y)], axis=2)
    smooth += np.random.default_rng(0).uniform(-0.01, 0.01, smooth.shape)  # as measured fields are
    Image.fromarray(np.round(60.0 * (2.0 + smooth)).astype(np.uint8)).convert("RGBA").save(path)
    document = Document(write_report(result, tmp_path).read_text("utf-8"))
    (source,) = (value for value in document.values("src"))
    content = base64.b64decode(source.removeprefix("data:image/webp;base64,"))
    assert len(content) < 0.1 * path.stat().st_size
    shown, drawn = (np.asarray(Image.open(one).convert("RGB"), dtype=float) for one in (io.BytesIO(content), path))
    assert shown.shape == drawn.shape
    assert np.abs(shown - drawn).mean() < 2.0


def test_picture_elsewhere_is_not_taken_into_the_page(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "study").mkdir()
    result = short(example_study())
    result = replace(result, worst=(replace(result.worst[0], picture="../secret.png"),))
    with pytest.raises(StorageError, match="not a picture of this study"):
        write_report(result, tmp_path / "study")
