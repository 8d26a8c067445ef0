from __future__ import annotations

from benchmarks.partial_coherence import measured


def test_every_coherence_is_measured_beside_bare_transforms() -> None:
    cases = list(measured(32, 1, rounds=1))
    assert [case.coherence for case in cases] == [0.0, 0.1, 0.4]
    assert cases[0].points == 1 < cases[1].points < cases[2].points
    assert all(min(case.seconds, case.ratio, case.gradient_ratio) > 0.0 for case in cases)
