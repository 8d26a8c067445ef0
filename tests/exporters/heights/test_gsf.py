"""Gwyddion Simple Field: confirmed by the package gsffile; changed heads and values located."""

from __future__ import annotations

import gsffile
import numpy as np
import pytest
import torch

from opticdesign.errors import VerificationError
from opticdesign.handover.export import export_design, exporters
from opticdesign.handover.manifest import load_manifest

GSF = "gsf/layer2.gsf"


def read(folder):
    return exporters()["gsf"].read(folder, load_manifest(folder))


@pytest.mark.parametrize("name", ["d2nn5", "d2nn", "d2n", "d2"])  # all lengths of the padding
def test_gsffile_sees_heights_in_metres(name, make_job, tmp_path):
    job = make_job(8, (2, 21, 34), name=name)
    export_design(job, ["gsf"], tmp_path / "x", {})
    for layer, levels in enumerate(torch.from_numpy(job.levels), start=1):
        path = tmp_path / f"x/gsf/layer{layer}.gsf"
        values, said = gsffile.read_gsf(path)
        np.testing.assert_array_equal(values, job.process.height_of_level(levels).numpy().astype(np.float32))
        assert (said["XReal"], said["YReal"]) == (34 * job.pitch_m[1], 21 * job.pitch_m[0])
        assert (said["XYUnits"], said["ZUnits"], said["Title"]) == ("m", "m", f"{name} layer {layer}")
        assert (path.stat().st_size - 4 * values.size) % 4 == 0  # values begin at a multiple of four


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b"Field 1.0", b"Field 2.0", "byte 0: not a Gwyddion Simple Field"),
        (b"XRes = 7", b"XRes = 9", "XRes is '9', expected '7'"),
        (b"YRes = 9", b"YRes = 7", "YRes is '7', expected '9'"),
        (b"XYUnits = m", b"XYUnits = g", "XYUnits is 'g', expected 'm'"),
        (b"ZUnits = m", b"ZUnits = V", "ZUnits is 'V', expected 'm'"),
        (b"XReal = 2", b"XReal = 3", "XReal is 3"),
        (b"YReal = 2", b"YReal = x", "YReal is 'x.*, expected a number"),
        (b"layer 2", b"layer 1", "Title is 'd2nn5 layer 1', expected that of layer 2"),
        (b"Title", b"Titel", "a head with"),
        (b"\0", b"x", "bytes of heights behind the padding|Title|byte 0"),
    ],
)
def test_another_head_is_refused(old, new, why, small_of):
    _, folder = small_of("gsf")
    data = (folder / GSF).read_bytes()
    assert old in data
    (folder / GSF).write_bytes(data.replace(old, new, 1))
    with pytest.raises(VerificationError, match=rf"^{GSF}: .*({why})"):
        read(folder)


def test_a_changed_height_is_located(small_of):
    _, folder = small_of("gsf")
    values, _ = gsffile.read_gsf(folder / GSF)
    values = values.copy()
    values[4, 6] += 1e-10
    values[5, 1] = np.nan
    data = (folder / GSF).read_bytes()
    (folder / GSF).write_bytes(data[: -values.nbytes] + values.tobytes())
    with pytest.raises(VerificationError, match=rf"^{GSF}: layer 2 row 4 column 6: height .* \(and 1 more\)"):
        read(folder)
