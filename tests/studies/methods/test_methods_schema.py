from __future__ import annotations

from pathlib import Path

import pytest

from opticdesign.errors import DesignError
from opticdesign.studies.methods.schema import load_methods_study
from tests.support.defocused_study import write_study
from tests.support.design_texts import ROOT

SHIPPED = ROOT / "designs" / "studies"
TEXT = """\
kind = "methods"
name = "small"
design = "tiny.toml"
seeds = [0, 1]
solvers = ["fft"]
set = ["training.batch=1"]

[[networks]]
name = "U-Net"

[[networks]]
name = "SRCNN"
set = ["decoder.kind=srcnn"]
quick = ["training.stages.decoder.decoder_rate=0.5"]

[quick]
seeds = [1]
set = ["data.fields=5"]
"""


def test_shipped_study_has_the_sizes_of_the_paper() -> None:
    study = load_methods_study(SHIPPED / "dlsrqpi-methods.toml")
    design = study.design_of(study.networks[0], 7, quick=False)
    stage = design.training.stages["decoder"]
    assert (design.decoder.kind, design.decoder.channels, design.training.batch) == ("interpolated-unet", 64, 8)
    assert (stage.loss, stage.steps, stage.decoder_rate, stage.decay) == ("mse", 200 * 1300 // 8, 0.01, "none")
    assert (design.optics.shape, design.detector.binning, design.training.seed) == ((256, 256), 4, 7)


def test_networks_differ_in_decoder_and_training_and_quick_counts_only_where_it_is_asked_for(tmp_path: Path) -> None:
    study = load_methods_study(write_study(tmp_path, TEXT))
    plain, quick = (study.design_of(study.networks[1], 0, quick) for quick in (False, True))
    assert (plain.decoder.kind, plain.training.batch, plain.data.fields) == ("srcnn", 1, 3)
    assert (quick.data.fields, quick.training.stages["decoder"].decoder_rate) == (5, 0.5)
    assert (study.seeds_of(False), study.seeds_of(True)) == ((0, 1), (1,))


@pytest.mark.parametrize(
    ("old", "new", "key", "said"),
    [
        ('solvers = ["fft"]', 'solvers = ["sor"]', "solvers[0]", "universal"),
        ('name = "SRCNN"', 'name = "u-net"', "networks[1].name", "rename"),
        ('name = "SRCNN"', 'name = "tie-fft"', "networks[1].name", "a name of its own"),
        ("decoder.kind=srcnn", "optics.defocus=9 um", "networks[1].set", "study's set"),
        ("training.batch=1", "optics.defocus=0 um", "design", "optics.defocus"),
        ("seeds = [0, 1]", "seeds = []", "seeds", "one seed or more"),
        ("tiny.toml", "none.toml", "design", "design file"),
    ],
)
def test_broken_studies_say_where_and_what_to_do(old: str, new: str, key: str, said: str, tmp_path: Path) -> None:
    path = write_study(tmp_path, TEXT.replace(old, new, 1))
    with pytest.raises(DesignError, match=r".") as caught:
        load_methods_study(path)
    assert key in [problem.key for problem in caught.value.problems]
    assert said in str(caught.value) and "study.toml" in str(caught.value)


def test_optics_that_learn_are_refused(tmp_path: Path) -> None:
    learns = ('optics.learn=["defocus"]', 'training.stages.decoder.train=["optics", "decoder"]')
    path = write_study(tmp_path, TEXT, *learns, "training.stages.decoder.optics_rate=0.1")
    with pytest.raises(DesignError, match=r"its optics learn"):
        load_methods_study(path)


def test_a_value_that_no_design_takes_names_the_study(tmp_path: Path) -> None:
    with pytest.raises(DesignError, match=r"study\.toml, its key=value texts or --set"):
        load_methods_study(write_study(tmp_path, TEXT), changes=["optics.defocus=4 kg"])
