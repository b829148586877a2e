"""Every block of the README is run, in order, in a folder; two halves of them at the same time.

One half needs what the demo trains, the other no more than the data that it brings.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from genolm.demo.bundle import copy_data

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = [(kind, text) for kind, text in BLOCK.findall((ROOT / "README.md").read_text())]
STORY = [(kind, text) for kind, text in BLOCKS if not text.startswith(("make ", "python3 -m venv"))]
TRAINED = ("genolm demo", "genolm-demo/pretrain", "genolm-demo/classifier")
"""What the demo trains, and itself."""
OUTPUT = re.compile(r"(?:^# | -o |^output: | output=)([\w./-]+)", re.MULTILINE)
"""What a block leaves behind, the name of a recipe among it."""


def halves() -> dict[str, list[tuple[str, str]]]:
    """Part the story by whether a block needs what the demo trains, or what came of that."""
    made = list(TRAINED)
    parts: dict[str, list[tuple[str, str]]] = {"models": [], "data": []}
    for kind, text in STORY:
        needs = any(path in text for path in made)
        parts["models" if needs else "data"].append((kind, text))
        if needs and not text.startswith(TRAINED[0]):
            made += OUTPUT.findall(text)
    return parts


PARTS = {**halves(), "whole": STORY}

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


@pytest.mark.parametrize("part", ["models", "data", pytest.param("whole", marks=pytest.mark.slow)])
def test_the_story_runs_from_top_to_bottom(part, tmp_path):
    if part == "data":
        copy_data(tmp_path / "genolm-demo")
    for kind, text in PARTS[part]:
        run_block(kind, text, tmp_path)
    made = {
        "models": ("scored.vcf.gz.tbi", "runs/classifier/metrics.json"),
        "data": ("runs/first/metrics.json", "converted/config.json"),
    }
    for name in made.get(part) or (*made["models"], *made["data"]):
        assert (tmp_path / name).exists()


def test_each_half_keeps_the_order_and_what_belongs_together():
    models, data = PARTS["models"], PARTS["data"]
    assert len(models) + len(data) == len(STORY)
    for half, first, then in (
        (models, "genolm demo -o", "# my_classifier.yaml"),
        (models, "# my_classifier.yaml", "genolm finetune my_classifier.yaml"),
        (data, "# my_recipe.yaml", "genolm pretrain my_recipe.yaml"),
        (data, "genolm pretrain my_recipe.yaml", "genolm report runs/first"),
    ):
        assert half == [block for block in STORY if block in half]
        starts = [text for _, text in half if text.startswith((first, then))]
        assert [starts[0].startswith(first), starts[1].startswith(then)] == [True, True]


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
