from __future__ import annotations

from types import SimpleNamespace

import pytest

from opticdesign.cli.progress import progress_listener


def test_nothing_of_a_line_of_training_is_cut_in_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, value in (("COLUMNS", "80"), ("LINES", "24"), ("TERM", "xterm"), ("FORCE_COLOR", "1"), ("NO_COLOR", "1")):
        monkeypatch.setenv(name, value)
    report = SimpleNamespace(stage="joint", step=300, steps=1600, loss=0.0123, total=300)
    quality = {"psnr_db": 27.1, "ssim": 0.812}
    with progress_listener() as listen:
        listen(SimpleNamespace(report=report, validation=quality, total_steps=1600, seconds_left=3700.0))
    last = " ".join(capfd.readouterr().err.split("starting")[-1].split())
    for part in ("━━ ", "0:00:00", "joint step 300/1600 loss 0.0123 PSNR 27.10 dB", "0.812 ETA 1:01:40"):
        assert part in last
    assert "…" not in last
