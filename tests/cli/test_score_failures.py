"""What `genolm score` does when it is stopped or the disk is full: one line, no half file."""

import os
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from genolm.models.auto import TOKENIZERS
from genolm.models.build import build_model

HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
SMALL = 20_000  # bytes that a file may have where the disk is to seem full


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    root = tmp_path_factory.mktemp("failures")
    sizes = {"d_model": 8, "n_layer": 1, "training_length": 32, "rcps": True}
    build_model("caduceus", "masked_lm", sizes, seed=1).save_pretrained(root / "m")
    TOKENIZERS["caduceus"]().save_pretrained(root / "m")
    bases = "".join(np.array(list("ACGT"))[np.random.default_rng(1).integers(0, 4, 4000)])
    (root / "g.fa").write_text(f">chr1\n{bases}\n")
    alts = {"A": "C", "C": "G", "G": "T", "T": "A"}
    lines = [f"chr1\t{i + 1}\tv{i}\t{b}\t{alts[b]}\t.\t.\tN={i}\n" for i, b in enumerate(bases)]
    (root / "in.vcf").write_text(HEADER + "".join(lines))
    (root / "out").mkdir()
    return root


@pytest.fixture
def out(work):
    folder = work / "out"
    yield folder
    for path in folder.iterdir():
        path.unlink()


def command(*arguments):
    return [
        sys.executable, "-m", "genolm", "score", "-r", "g.fa", "-m", "m", "--device", "cpu",
        "--threads", "1", *arguments,
    ]  # fmt: skip


def is_one_error(text):
    lines = text.splitlines()
    return len(lines) == 1 and lines[0].startswith("genolm: error: ")


def test_a_full_standard_output_is_one_line_and_exit_code_1(work):
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        done = subprocess.run(
            [*command("in.vcf", "-o", "-")],
            stdout=full,
            stderr=subprocess.PIPE,
            cwd=work,
            text=True,
        )
    assert done.returncode == 1
    assert is_one_error(done.stderr)
    assert "standard output: No space left on device" in done.stderr


@pytest.mark.parametrize(
    "name",
    ["o.vcf.gz", *(pytest.param(name, marks=pytest.mark.slow) for name in ("o.vcf", "o.parquet"))],
)
def test_a_full_disk_is_one_line_and_leaves_nothing(work, out, name):
    done = subprocess.run(
        command("in.vcf", "-o", f"out/{name}"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL, SMALL)),
        stderr=subprocess.PIPE,
        cwd=work,
        text=True,
    )
    assert done.returncode == 1
    assert is_one_error(done.stderr), done.stderr
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("name", ["o.vcf.gz", pytest.param("o.csv", marks=pytest.mark.slow)])
def test_sigterm_is_one_line_exit_code_143_and_leaves_nothing(work, out, name):
    reading, writing = os.pipe()
    process = subprocess.Popen(
        command("-", "-o", f"out/{name}"),
        stdin=reading,
        stderr=subprocess.PIPE,
        cwd=work,
        text=True,
    )
    os.close(reading)
    with open(writing, "wb") as pipe:  # noqa: PTH123
        lines = (work / "in.vcf").read_bytes().splitlines(keepends=True)
        for _ in range(200):  # more than it reads at once: it has begun to write, and waits
            pipe.write(b"".join(lines if _ == 0 else lines[2:]))
            pipe.flush()
            if any(out.iterdir()):
                break
        deadline = time.monotonic() + 60
        while not any(out.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert any(out.iterdir())
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert is_one_error(err), err
    assert "stopped by SIGTERM" in err
    assert list(out.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_one_line(work, out):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    out.chmod(0o500)
    done = subprocess.run(
        command("in.vcf", "-o", "out/o.vcf"), stderr=subprocess.PIPE, cwd=work, text=True
    )
    out.chmod(0o700)
    assert done.returncode == 1
    assert is_one_error(done.stderr)
