from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from PIL import Image

from opticdesign.tolerance.report import write_report
from tests.support.chromium import MISSING, Chromium, find_chromium
from tests.support.example_study import draw_pictures, example_study, renamed

PROGRAM = find_chromium()
pytestmark = pytest.mark.skipif(PROGRAM is None, reason=MISSING)

A4_INSIDE = 688  # CSS pixels between the margins
ORDER = "[...document.querySelectorAll('#worst tbody tr')].map((row) => row.cells[{}].firstChild.textContent)"
HIDDEN = """[...document.querySelectorAll('main svg[role=img], main table, main img, h1, .verdict .big')]
  .filter((it) => !it.closest('details') && !it.checkVisibility()).length"""
TOO_WIDE = """[...document.querySelectorAll('body *')]
  .filter((it) => !it.closest('.table, .unseen') && it.getBoundingClientRect().right > innerWidth + 0.5)
  .map((it) => it.outerHTML.slice(0, 80))"""
CUT = (
    "[...document.querySelectorAll('.table')].filter((it) => it.scrollWidth > it.clientWidth).map((it) => it.ariaLabel)"
)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report with spaces & more")
    draw_pictures(example_study(), folder)
    return write_report(example_study(), folder)


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    assert PROGRAM
    with Chromium(PROGRAM) as found:
        yield found


@pytest.fixture
def page(browser: Chromium, report: Path) -> Chromium:
    """The report, freshly opened in a wide window."""
    browser.show(1280)
    browser.open(report)
    return browser


def test_page_shows_its_verdict_plots_and_tables_and_the_console_stays_empty(page: Chromium) -> None:
    assert page.ask("document.title") == "Fabrication tolerances of d2nn5"
    assert page.ask("document.querySelector('.verdict .big').innerText") == "89.5 %"
    assert page.ask("document.querySelectorAll('main svg[role=img]').length") == 13
    assert page.ask("document.querySelectorAll('main section').length") == 10
    assert page.ask("[...document.images].filter((it) => it.complete && it.naturalWidth === 120).length") == 10
    assert page.ask(HIDDEN) == 0
    assert page.ask("document.querySelectorAll('svg[role=img] text').length") > 100
    assert page.complaints() == []


def test_no_request_leaves_the_page(page: Chromium, report: Path) -> None:
    document, *others = page.requests()
    assert document == report.as_uri()
    assert {url.split(":")[0] for url in others} == {"data"}


@pytest.fixture
def visits() -> Iterator[tuple[str, list[str]]]:
    """The address of a server on this machine, and the paths that are asked of it."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def test_requests_and_complaints_are_seen_where_there_are_any(
    browser: Chromium, report: Path, tmp_path: Path, visits: tuple[str, list[str]]
) -> None:
    """The check of the checks: what would ask the network is stopped by the page's policy, and seen without it."""
    address, asked = visits
    text = report.read_text("utf-8")
    beacon = f'<img src="{address}/beacon.png"></body>'
    (tmp_path / "kept.html").write_text(text.replace("</body>", beacon), "utf-8")
    browser.open(tmp_path / "kept.html")
    assert [failed["blockedReason"] for failed in browser.reported("Network.loadingFailed")] == ["csp"]
    assert "Content Security Policy" in str(browser.complaints())
    assert asked == []
    without = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    (tmp_path / "open.html").write_text(without.replace("</body>", beacon + "<script>nothing()</script>"), "utf-8")
    browser.open(tmp_path / "open.html")
    assert [url for url in browser.requests() if url.startswith("http")] == [f"{address}/beacon.png"]
    assert asked == ["/beacon.png"]
    assert "nothing is not defined" in str(browser.complaints())


def test_hostile_names_do_nothing_in_a_browser(
    browser: Chromium, tmp_path: Path, visits: tuple[str, list[str]]
) -> None:
    evil = f"<img src={visits[0]}/x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"
    result = replace(renamed(example_study(), "wavelength", evil), worst=(), notes=(evil,))
    browser.open(write_report(result, tmp_path))
    assert browser.ask("document.title") == "Fabrication tolerances of d2nn5"
    assert evil in browser.ask("document.body.innerText")
    assert len(browser.requests()) == 1
    assert visits[1] == []
    assert browser.complaints() == []


def test_table_is_sorted_by_numbers_as_its_heading_is_clicked(page: Chromium) -> None:
    indices = [f"{draw.index}" for draw in example_study().worst]
    heading = "#worst thead th:nth-child(2)"
    assert page.ask(ORDER.format(1)) == indices
    assert page.ask(f"document.querySelector('{heading}').ariaSort") is None
    for order, expected in (("ascending", sorted(indices, key=int)), ("descending", sorted(indices, key=int)[::-1])):
        page.click(f"{heading} button")
        assert page.ask(ORDER.format(1)) == expected
        assert page.ask(f"document.querySelector('{heading}').ariaSort") == order
        assert page.ask("document.getElementById('status').textContent").endswith(f"sorted by draw, {order}")
    page.click("#worst thead th:nth-child(1) button")
    assert page.ask(ORDER.format(1)) == indices
    assert page.ask("document.querySelectorAll('#worst [aria-sort]').length") == 1


def test_table_is_sorted_with_the_keyboard_alone(page: Chromium) -> None:
    page.ask("document.querySelector('#worst thead th:nth-child(2) button').focus()")
    page.press("Tab")
    assert page.ask("document.activeElement.textContent") == "PSNR / dB"
    scores = [f"{draw.metrics['psnr_db']:.2f}" for draw in example_study().worst]
    for key, expected in (("Enter", scores), (" ", scores[::-1])):
        page.press(key)
        assert page.ask(ORDER.format(2)) == expected
    assert page.ask("document.activeElement.textContent") == "PSNR / dB"  # still where it was


def test_text_and_missing_numbers_have_their_place_in_an_order(page: Chromium) -> None:
    rows = "[...document.querySelectorAll('#parameters tbody tr')].map((row) => row.cells[{}].firstChild.textContent)"
    page.click("#parameters thead th:nth-child(1) button")
    names = page.ask(rows.format(0))
    assert names == sorted(names)
    for _ in range(2):
        page.click("#parameters thead th:nth-child(4) button")
        assert page.ask(rows.format(0))[-1] == "height noise"  # it has no range


@pytest.mark.parametrize("width", [1280, 768, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_fits_any_window_and_follows_the_scheme(page: Chromium, width: int, scheme: str) -> None:
    page.show(width, scheme=scheme)
    assert page.ask("document.documentElement.scrollWidth") == width
    assert page.ask(TOO_WIDE) == []
    assert page.ask(HIDDEN) == 0
    picture = Image.open(io.BytesIO(page.screenshot())).convert("L")
    assert picture.width == width
    assert (picture.getpixel((2, 2)) > 200) == (scheme == "light")
    shades = len(picture.crop((0, 0, width, 800)).getcolors() or [])
    assert shades > 40  # text on its paper, not an empty page


def test_all_text_stands_out_from_its_paper(page: Chromium) -> None:
    """At least 4.5 : 1, as WCAG 2.2, success criterion 1.4.3, asks of text."""
    for scheme in ("light", "dark"):
        page.show(1280, scheme=scheme)
        read = "getComputedStyle(document.documentElement).getPropertyValue('--{}').trim()"
        for paper in ("paper", "panel"):
            for ink in ("ink", "muted", "accent", "good", "bad"):
                assert contrast(page.ask(read.format(ink)), page.ask(read.format(paper))) >= 4.5, (scheme, ink, paper)


def contrast(first: str, second: str) -> float:
    """WCAG 2.2, "contrast ratio" of two colours such as "#18222d"."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255.0 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def test_page_prints_on_a4_with_no_table_cut(page: Chromium) -> None:
    page.show(A4_INSIDE, media="print")
    assert page.ask("document.documentElement.scrollWidth") == A4_INSIDE
    assert page.ask(CUT) == []
    assert page.ask("getComputedStyle(document.querySelector('nav')).display") == "none"
    pdf = page.pdf()
    assert pdf.startswith(b"%PDF-")
    boxes = re.findall(rb"/MediaBox \[0 0 ([0-9.]+) ([0-9.]+)\]", pdf)
    assert 6 <= len(boxes) <= 9
    for width, height in boxes:
        assert (float(width), float(height)) == (pytest.approx(595.0, abs=1.5), pytest.approx(842.0, abs=1.5))
