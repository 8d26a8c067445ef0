"""An exporter of one's own: heights in nanometres as 16-bit PGM, written, read back and verified with the others.

Run `python examples/own_exporter.py`; `--small` takes a quarter of the size, `--save FILE` writes the picture.
"""

# %% the format: a writer, and a reader that shares no code with it
import argparse
import math
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from matplotlib import pyplot
from PIL import Image

import opticdesign as od
from opticdesign.handover.export import ExportedFile, ExportJob, ReadBack, WrittenFiles, export_design, verify_files
from opticdesign.handover.manifest import Manifest, read_exported
from opticdesign.optics.elements import lens_phase

parser = argparse.ArgumentParser()
parser.add_argument("--small", action="store_true", help="a quarter of the size, for a quick look")
parser.add_argument("--save", metavar="FILE", help="write the picture instead of showing it")
asked, _ = parser.parse_known_args()  # a notebook's kernel has arguments of its own


class PgmExporter:
    """Writes one picture for each layer; a grey is a nanometre."""

    name, summary, usual = "pgm", "16-bit PGM per layer (nm)", False

    # equal jobs give equal bytes, and the folder is a fresh one
    def write(self, job: ExportJob, folder: Path) -> WrittenFiles:
        (folder / "pgm").mkdir()
        table = np.round(job.process.height_of_level(torch.arange(job.process.levels)).numpy() * 1e9).astype(">u2")
        files = []
        for number, plane in enumerate(job.levels, start=1):
            head = f"P5\n{plane.shape[1]} {plane.shape[0]}\n65535\n".encode()
            (folder / f"pgm/layer{number}.pgm").write_bytes(head + table[plane].tobytes())
            files.append(ExportedFile(f"pgm/layer{number}.pgm", f"height of layer {number}", "nm"))
        return WrittenFiles(files, {"unit": "nm"})

    def read(self, folder: Path, manifest: Manifest) -> ReadBack:
        process, files = manifest.process.process, manifest.record("pgm").files
        for file in files:
            read_exported(folder, file)  # refuses what is missing, or far too large
        heights_m = np.stack([np.asarray(Image.open(folder / file.path)) for file in files]) * 1e-9
        phase_rad = torch.from_numpy(heights_m * (2.0 * math.pi / process.full_height_m))
        levels = process.level_of_phase(phase_rad).numpy()
        return ReadBack(levels, phase_rad.float().numpy(), tuple(file.path for file in files))


# %% how the toolkit finds it
# A package has the line pgm = "my_package:PgmExporter" under [project.entry-points."opticdesign.exporters"] in its
# pyproject.toml. Installing leaves that line in a folder on Python's path, which is made by hand here.
holder = tempfile.TemporaryDirectory()
folder = Path(holder.name)
(folder / "my_package-1.0.dist-info").mkdir()
(folder / "my_package-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: my_package\nVersion: 1.0\n")
entry = f"[opticdesign.exporters]\npgm = {__name__}:PgmExporter\n"
(folder / "my_package-1.0.dist-info/entry_points.txt").write_text(entry)
sys.path.append(str(folder))

# %% a lens of 16 levels, exported as GDSII and as PGM, and read back
WAVELENGTH_M, SIZE, FOCAL_M = 633e-9, 64 if asked.small else 256, 0.8e-3 if asked.small else 3.2e-3
grid = od.Grid.square(SIZE, 2e-6)
process = od.FabricationProcess(16, WAVELENGTH_M, od.material("fused silica").index(WAVELENGTH_M))
levels = process.level_of_phase(lens_phase(grid, WAVELENGTH_M, FOCAL_M))[None].numpy()
job = ExportJob("lens", levels.astype(np.uint8), process, grid.pitch_m)
manifest = export_design(job, ["gds", "pgm"], folder / "exports", {"made by": "own_exporter.py"})
print("wrote", *(file.path for record in manifest.exports for file in record.files))
for check in verify_files(folder / "exports", levels, process):
    print(f"{check.exporter}: {'every level read back' if check.ok else check.problems}")
half_nm_rad = math.pi * 1e-9 / process.full_height_m
print(f"pgm: phases within {1e3 * check.phase_error_rad:.2f} mrad, half a nanometre is {1e3 * half_nm_rad:.2f} mrad")

# %% the picture: the heights that the file holds
read = np.asarray(Image.open(folder / "exports/pgm/layer1.pgm")) * 1e-9
holder.cleanup()
figure = od.plot.height(read, grid, title="lens, read from layer1.pgm").figure
if asked.save:
    figure.savefig(asked.save)
else:
    pyplot.show()
