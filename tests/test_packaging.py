"""What is in the wheel, and what must never be in the tree."""

import importlib.util
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from genolm_kernels.native import compiler

ROOT = Path(__file__).parent.parent
LIBRARIES = "genolm_kernels/native/lib/genolm-"

needs_zig = pytest.mark.skipif(
    importlib.util.find_spec("ziglang") is None, reason="ziglang is not installed"
)


def build(
    folder: Path, before: str = "", *, root: Path = ROOT, kind: str = "wheel", **variables: str
) -> Path:
    """Build in a process of its own, which may run a line before."""
    program = f"{before}\nimport hatchling.build\nhatchling.build.build_{kind}({str(folder)!r})"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=root,
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
    )
    assert done.returncode == 0, done.stderr
    [built] = folder.iterdir()
    return built


def libraries(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as content:
        names = [name for name in content.namelist() if name.startswith(LIBRARIES)]
        return {name.removeprefix(LIBRARIES): content.read(name) for name in names}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    return build(tmp_path_factory.mktemp("wheel"))


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
        "genolm/_recipes/pretrain/ecoli_mamba.yaml",
        "genolm/_recipes/evaluate/twenty_sets.yaml",
        "genolm/evaluation/suites.yaml",
        "genolm/evaluation/published.csv",
        "genolm/demo/recipes/few_labels_bundled.yaml",
        "genolm/bundled/ecoli-mamba-d128/config.json",
        "genolm/bundled/ecoli-mamba-d128/model.safetensors",
        "genolm/bundled/ecoli-mamba-d128/tokenizer_config.json",
        "genolm/bundled/ecoli-mamba-d128/README.md",
    } <= names


@needs_zig
@pytest.mark.skipif(compiler.this_machine() is None, reason="no compiled code for this system")
def test_the_wheel_has_a_library_for_each_processor_of_this_platform(wheel):
    target = compiler.TARGETS[compiler.this_machine()]
    assert wheel.name.endswith(f"-py3-none-{target.tag}.whl")
    expected = {compiler.library_name(target, processor) for processor in target.processors}
    assert {f"genolm-{name}" for name in libraries(wheel)} == expected


def test_the_wheel_has_the_c_sources_for_machines_that_compile_them(wheel):
    with zipfile.ZipFile(wheel) as content:
        names = {Path(name).name for name in content.namelist() if "/native/source/" in name}
    assert names == {file.name for file in compiler.SOURCE.iterdir()}


@needs_zig
@pytest.mark.skipif(shutil.which("objdump") is None, reason="there is no objdump")
@pytest.mark.skipif(compiler.this_machine() != "linux-x86_64", reason="for x86-64")
def test_each_level_uses_its_widest_vectors_and_no_later_libc_than_promised(wheel, tmp_path):
    registers = {"x86-64-v2": "xmm", "x86-64-v3": "ymm", "x86-64-v4": "zmm"}
    for name, content in libraries(wheel).items():
        file = tmp_path / name
        file.write_bytes(content)
        code, symbols = (
            subprocess.run(["objdump", flag, file], capture_output=True, text=True).stdout
            for flag in ("-d", "-T")
        )
        counts = {wide: code.count(f"%{wide}") for wide in registers.values()}
        widest = next(wide for level, wide in registers.items() if name.startswith(level))
        assert counts[widest] > 100
        assert not any(counts[wide] for wide in list(counts)[list(counts).index(widest) + 1 :])
        versions = [tuple(map(int, v.split("."))) for v in re.findall(r"GLIBC_([0-9.]+)", symbols)]
        assert max(versions) <= (2, 17)


@needs_zig
def test_a_wheel_for_another_platform_can_be_built_here(tmp_path):
    wheel = build(tmp_path, GENOLM_BUILD_PLATFORM="linux-aarch64")
    assert wheel.name.endswith("-py3-none-manylinux2014_aarch64.whl")
    [content] = libraries(wheel).values()
    assert content[:4] == b"\x7fELF"
    assert struct.unpack_from("<H", content, 18) == (183,)  # EM_AARCH64


NO_ZIG = "import sys; sys.modules['ziglang'] = None"


@pytest.fixture
def old_compiler(tmp_path) -> str:
    """The command of a compiler that makes empty files, and none for the newest processors."""
    stand_in = tmp_path / "old-cc"
    stand_in.write_text('case "$*" in *-march=x86-64-v4*) exit 1; esac\n')
    return f"sh {stand_in}"


for_linux = pytest.mark.skipif(
    compiler.this_machine() != "linux-x86_64", reason="for Linux on x86-64"
)


@for_linux
def test_without_zig_the_system_compiler_builds_for_this_machine_only(tmp_path, old_compiler):
    wheel = build(tmp_path / "wheels", NO_ZIG, CC=old_compiler)
    assert wheel.name.endswith("-py3-none-linux_x86_64.whl")
    assert {name[:9] for name in libraries(wheel)} == {"x86-64-v3", "x86-64-v2"}


@for_linux
def test_an_editable_installation_has_its_libraries_beside_the_sources(tmp_path, old_compiler):
    root = tmp_path / "checkout"
    shutil.copytree(compiler.SOURCE, root / "kernels/genolm_kernels/native/source")
    shutil.copy(compiler.__file__, root / "kernels/genolm_kernels/native")
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", "genolm/__init__.py"):
        (root / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    (root / "recipes").mkdir()
    (lib := root / "kernels/genolm_kernels/native/lib").mkdir()
    (lib / "genolm-x86-64-v4-0123456789abcdef.so").touch()
    wheel = build(tmp_path / "wheels", NO_ZIG, root=root, kind="editable", CC=old_compiler)
    assert wheel.name.endswith("-py3-none-any.whl")
    assert libraries(wheel) == {}
    target = compiler.TARGETS["linux-x86_64"]
    expected = {compiler.library_name(target, level) for level in ("x86-64-v3", "x86-64-v2")}
    assert {file.name for file in lib.iterdir()} == expected


def test_a_source_distribution_has_all_that_is_compiled_and_nothing_compiled(tmp_path):
    with tarfile.open(build(tmp_path, kind="sdist")) as content:
        names = {name.partition("/")[2] for name in content.getnames()}
    assert {"hatch_build.py", "kernels/genolm_kernels/native/compiler.py"} <= names
    sources = {file.name for file in compiler.SOURCE.iterdir()}
    assert sources <= {Path(name).name for name in names if "/native/source/" in name}
    assert not any("/native/lib/" in name for name in names)


@needs_zig
@pytest.mark.skipif(compiler.this_machine() is None, reason="no compiled code for this system")
def test_the_installed_wheel_runs_what_it_ships_without_a_compiler(wheel, tmp_path):
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", wheel]
    subprocess.run([*command, "--target", tmp_path / "installed"], check=True)
    bare = {"PATH": "", "HOME": str(tmp_path), "PYTHONPATH": str(tmp_path / "installed")}
    done = subprocess.run(
        [sys.executable, "-m", "genolm", "doctor", "--json"],
        env=bare,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout)["compiled"]
    assert (said["kind"], said["reason"]) == ("shipped", "")
    assert said["path"].startswith(str(tmp_path))
    assert not (tmp_path / ".cache").exists()


def test_without_any_compiler_the_wheel_is_pure_python(tmp_path):
    wheel = build(tmp_path, NO_ZIG, PATH="", CC="")
    assert wheel.name.endswith("-py3-none-any.whl")
    assert libraries(wheel) == {}


def test_the_wheel_can_be_asked_to_be_pure_and_refuses_an_unknown_platform(tmp_path):
    assert libraries(build(tmp_path, GENOLM_BUILD_PLATFORM="none")) == {}
    with pytest.raises(AssertionError, match="PLATFORM=abacus: choose from linux-x86_64"):
        build(tmp_path, GENOLM_BUILD_PLATFORM="abacus")


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
    for path in [*(ROOT / "genolm").rglob(f"*.{suffix}"), *(ROOT / "kernels").rglob(f"*.{suffix}")]:
        # Triton's kernels call each other by name alone, and repeat themselves more.
        ceiling = 600 if path.stem.startswith("triton") else 300
        assert len(path.read_text().splitlines()) <= ceiling, path
