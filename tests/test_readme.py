"""Every block of the README is run, in order, in one folder."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = [(kind, text) for kind, text in BLOCK.findall((ROOT / "README.md").read_text())]
STORY = [(kind, text) for kind, text in BLOCKS if not text.startswith(("make ", "python3 -m venv"))]


BCFTOOLS = f"""#!{sys.executable}
import sys
import pysam.bcftools
verb, *arguments = sys.argv[1:]
caught = verb == "query"  # which frees its output twice where it is not caught
text = getattr(pysam.bcftools, verb)(*arguments, catch_stdout=caught)
print(text or "", end="")
"""


@pytest.fixture(scope="module", autouse=True)
def _bcftools(tmp_path_factory):
    """Where bcftools is not installed, the copy that pysam carries stands in for it."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "bcftools").write_text(BCFTOOLS)
    (folder / "bcftools").chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", os.pathsep.join([os.environ["PATH"], str(folder)]))
        yield


def environment() -> dict[str, str]:
    scripts = str(Path(sys.executable).parent)
    paths = [str(ROOT), str(ROOT / "kernels"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **os.environ,
        "PATH": os.pathsep.join([scripts, os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join(paths),
    }


def run_block(kind: str, text: str, folder: Path) -> None:
    if kind == "yaml":
        name = re.match(r"# (\S+\.yaml)\n", text)[1]
        (folder / name).write_text(text)
        return
    # The gate runs the short form of the demo; `make test-all` runs the whole one.
    text = text.replace("genolm demo -o", "genolm demo --quick -o")
    command = (
        [sys.executable, "-c", text]
        if kind == "python"
        else ["bash", "-euo", "pipefail", "-c", text]
    )
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"


def test_the_story_runs_from_top_to_bottom(tmp_path):
    for kind, text in STORY:
        run_block(kind, text, tmp_path)
    assert (tmp_path / "scored.vcf.gz.tbi").exists()
    assert (tmp_path / "runs/classifier/metrics.json").exists()


def test_every_block_is_of_a_kind_that_is_run():
    assert {kind for kind, _ in BLOCKS} <= {"bash", "yaml", "python"}


@pytest.mark.parametrize("target", ["demo", "test"])
def test_the_make_targets_exist(target):
    assert f"```bash\nmake {target}\n```" in (ROOT / "README.md").read_text()
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_install_block_runs_in_a_fresh_copy(tmp_path):
    [text] = [text for _, text in BLOCKS if text.startswith("python3 -m venv")]
    copy = tmp_path / "genolm"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".venv", ".git", ".*_cache", "runs"))
    bare = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    command = ["bash", "-euo", "pipefail", "-c", text]
    done = subprocess.run(command, cwd=copy, env=bare, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "pretrain" in done.stdout
    assert "all that runs here computes the same" in done.stdout
