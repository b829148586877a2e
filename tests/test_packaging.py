"""What is in the wheel, and what must never be in the tree."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    program = f"import hatchling.build; hatchling.build.build_wheel({str(folder)!r})"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_two_packages_and_no_third_name(wheel):
    with zipfile.ZipFile(wheel) as content:
        tops = {name.split("/")[0] for name in content.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"genolm", "genolm_kernels"}


def test_the_wheel_is_under_5_mb_and_carries_what_the_demo_needs(wheel):
    assert wheel.stat().st_size < 5_000_000
    with zipfile.ZipFile(wheel) as content:
        names = set(content.namelist())
    assert {
        "genolm/py.typed",
        "genolm_kernels/py.typed",
        "genolm/demo/data/ecoli536.fa.gz",
        "genolm/demo/data/variants.vcf.gz",
        "genolm/demo/data/PROVENANCE.md",
        "genolm/_recipes/pretrain/yeast_caduceus.yaml",
    } <= names


def test_the_kernels_folder_is_a_source_root_and_not_a_package():
    assert not (ROOT / "kernels" / "__init__.py").exists()


def test_configuration_files_keep_their_type_checks():
    # With this import the dataclass sees strings for types and checks nothing.
    for path in (ROOT / "genolm").rglob("configuration*.py"):
        assert "from __future__ import annotations" not in path.read_text(), path


def test_every_direct_dependency_has_a_tested_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["dev"]
    names = {re.match(r"[A-Za-z0-9_.-]+", line)[0].lower().replace("_", "-") for line in wanted}
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in pins if "==" in line}
    assert names <= pinned


@pytest.mark.parametrize("suffix", ["py", "md", "yaml", "toml", "ipynb"])
def test_source_files_stay_within_their_size(suffix):
    ceiling = 300
    for path in [*(ROOT / "genolm").rglob(f"*.{suffix}"), *(ROOT / "kernels").rglob(f"*.{suffix}")]:
        if path.name != "triton.py":
            assert len(path.read_text().splitlines()) <= ceiling, path
