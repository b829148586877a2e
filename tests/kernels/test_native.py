import ctypes
import multiprocessing
import os
import shutil
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from genolm_kernels import native
from genolm_kernels.native import compiler, processor
from genolm_kernels.native.library import _find

ROOT = Path(__file__).parents[2]
TARGET = compiler.TARGETS.get(compiler.this_machine() or "")
COMPILERS = compiler.system_compilers()

needs_compiler = pytest.mark.skipif(
    TARGET is None or not COMPILERS, reason="there is no C compiler to test with"
)
needs_x86 = pytest.mark.skipif(
    TARGET is None or not TARGET.has_x86(), reason="the levels are those of x86-64"
)

PROBE = """
#include "parallel.h"
#include <math.h>
typedef struct { double *sums; } Context;
static void one(void *context, int64_t item) {
    double sum = 0;
    for (int i = 1; i < 20000; i++) sum += sin((double)i * (double)(item + 1));
    ((Context *)context)->sums[item] = sum;
}
void genolm_probe(int threads, int64_t items, double *sums) {
    Context context = {sums};
    genolm_parallel(threads, items, one, &context);
}
"""


@pytest.fixture(autouse=True)
def _looked_for_afresh(monkeypatch):
    monkeypatch.delenv("GENOLM_NATIVE", raising=False)
    _find.cache_clear()
    yield
    _find.cache_clear()


@pytest.fixture
def source(tmp_path, monkeypatch) -> Path:
    """A small library in place of the real one, and empty folders for what it is built into."""
    folder = tmp_path / "source"
    folder.mkdir()
    for name in ("parallel.c", "parallel.h"):
        shutil.copy(compiler.SOURCE / name, folder)
    (folder / "probe.c").write_text(PROBE)
    monkeypatch.setattr(compiler, "SOURCE", folder)
    monkeypatch.setattr(compiler, "SHIPPED", tmp_path / "lib")
    monkeypatch.setenv("GENOLM_CACHE", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def shipped(source) -> Path:
    """The small library as an installation has it, for every processor that this one can be."""
    compiler.SHIPPED.mkdir()
    for name in processor.runnable(TARGET.processors):
        path = compiler.SHIPPED / compiler.library_name(TARGET, name)
        compiler.compile_by_system(COMPILERS[0], TARGET, name, path)
    return compiler.SHIPPED


@pytest.fixture
def no_compiler(monkeypatch):
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", "")


def probe(threads: int, items: int = 7) -> bytes:
    sums = np.full(items, np.nan)
    loaded = native.library()
    loaded.genolm_probe.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_void_p]
    loaded.genolm_probe(threads, items, sums.ctypes.data)
    assert not np.isnan(sums).any()
    return sums.tobytes()


@needs_compiler
def test_the_best_shipped_library_that_this_processor_runs_is_chosen(shipped, no_compiler):
    found = native.native()
    assert (found.kind, found.reason) == ("shipped", "")
    assert found.processor == processor.runnable(TARGET.processors)[0]
    assert found.path.parent == shipped
    assert native.why_not() is None
    assert native.describe().startswith(f"{found.processor}, shipped, on ")


@needs_compiler
def test_a_library_of_other_sources_is_never_run(shipped, source):
    (source / "probe.c").write_text(PROBE.replace("20000", "10000"))
    found = native.native()
    assert found.kind == "jit"
    assert "the C sources changed" in found.reason
    assert "compiled here" in native.describe()


@needs_compiler
def test_a_library_of_other_sources_and_no_compiler_leave_the_work_to_torch(
    shipped, source, no_compiler
):
    (source / "parallel.h").write_text("/* changed */")
    assert native.library() is None
    assert "the C sources changed" in native.why_not()
    assert "there is no C compiler here" in native.why_not()
    assert native.describe().startswith("none, torch computes instead: ")


@needs_compiler
def test_what_was_compiled_here_is_found_again_without_a_compiler(source, monkeypatch):
    path = native.native().path
    _find.cache_clear()
    monkeypatch.setattr(compiler, "system_compilers", list)
    assert native.native().path == path
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@needs_compiler
def test_a_spoilt_file_in_the_cache_is_compiled_anew(source, tmp_path):
    path = native.native().path
    spoilt = tmp_path / "spoilt"
    spoilt.write_bytes(b"no library")
    spoilt.replace(path)
    _find.cache_clear()
    assert native.library() is not None


@needs_compiler
def test_several_processes_may_compile_at_once(source):
    def compute(barrier, answers):
        barrier.wait()
        answers.put((native.native().kind, probe(threads=2)))

    context = multiprocessing.get_context("fork")
    barrier, answers = context.Barrier(3), context.Queue()
    children = [context.Process(target=compute, args=(barrier, answers)) for _ in range(3)]
    for child in children:
        child.start()
    found = [answers.get(timeout=60) for _ in children]
    for child in children:
        child.join()
    assert found == [("jit", probe(threads=1))] * 3
    assert len(list(native.native().path.parent.iterdir())) == 1


def test_a_compiler_that_fails_is_no_error(source, no_compiler, tmp_path, monkeypatch):
    broken = tmp_path / "broken-cc"
    broken.write_text("#!/bin/sh\necho 'error: out of silicon' >&2; exit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CC", f"{broken} -some-option")
    assert native.library() is None
    assert "failed (3): error: out of silicon" in native.why_not()
    assert list((tmp_path / "cache" / "native").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_no_error(source, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert native.library() is None
    assert "no folder to compile in" in native.why_not()


def test_the_switch_turns_it_off_and_on_within_one_process(source, monkeypatch):
    monkeypatch.setenv("GENOLM_NATIVE", "off")
    assert native.library() is None
    assert native.why_not() == "GENOLM_NATIVE=off"
    monkeypatch.delenv("GENOLM_NATIVE")
    assert native.why_not() != "GENOLM_NATIVE=off"


@needs_compiler
@pytest.mark.parametrize("kind", ["jit", "shipped"])
def test_one_that_is_insisted_on_runs(kind, shipped, monkeypatch):
    name = "jit" if kind == "jit" else processor.runnable(TARGET.processors)[-1]
    monkeypatch.setenv("GENOLM_NATIVE", name)
    found = native.native()
    assert found.kind == kind
    assert found.processor == ("native" if kind == "jit" else name)


@pytest.mark.skipif(TARGET is None, reason="there is no compiled code for this system")
@pytest.mark.parametrize(
    ("wanted", "reason"),
    [("jit", "there is no C compiler here"), ("quickly", "choose from off, jit")],
)
def test_one_that_is_insisted_on_and_cannot_run_raises(
    wanted, reason, source, no_compiler, monkeypatch
):
    monkeypatch.setenv("GENOLM_NATIVE", wanted)
    with pytest.raises(ValueError, match=f"GENOLM_NATIVE={wanted}.*{reason}"):
        native.library()


@needs_x86
def test_insisting_on_what_the_processor_lacks_names_what_it_lacks(source, monkeypatch):
    flags = processor.NEEDED["x86-64-v4"] - {"avx512dq"}
    monkeypatch.setattr(processor, "_cpuinfo", lambda: {"flags": " ".join(flags)})
    monkeypatch.setenv("GENOLM_NATIVE", "x86-64-v4")
    with pytest.raises(ValueError, match="this processor has no avx512dq"):
        native.library()
    monkeypatch.setenv("GENOLM_NATIVE", "x86-64-v3")
    with pytest.raises(ValueError, match="installed without a compiled library"):
        native.library()


@pytest.mark.parametrize("level", [2, 3, 4])
def test_a_level_runs_where_all_of_its_flags_are(level, monkeypatch):
    flags = processor.NEEDED[f"x86-64-v{level}"]
    monkeypatch.setattr(processor, "_cpuinfo", lambda: {"flags": " ".join(flags)})
    levels = ["x86-64-v4", "x86-64-v3", "x86-64-v2"]
    assert processor.runnable(levels) == levels[4 - level :]


@pytest.mark.parametrize(("capability", "most"), [("AVX512", 3), ("AVX2", 2), ("DEFAULT", 1)])
def test_torch_is_asked_where_the_system_lists_no_flags(capability, most, monkeypatch):
    monkeypatch.setattr(processor, "_cpuinfo", dict)
    monkeypatch.setattr(processor.torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert len(processor.runnable(["x86-64-v4", "x86-64-v3", "x86-64-v2"])) == most
    assert processor.runnable(["aarch64"]) == ["aarch64"]


@needs_compiler
def test_any_number_of_threads_gives_the_same_bits(source):
    wanted = probe(threads=1)
    assert {probe(threads) for threads in (2, 3, 64, 1000)} == {wanted}


@needs_compiler
def test_callers_in_several_python_threads_do_not_disturb_each_other(source):
    wanted = probe(threads=1, items=50)
    with ThreadPoolExecutor(max_workers=4) as pool:
        found = list(pool.map(lambda _: probe(threads=2, items=50), range(24)))
    assert set(found) == {wanted}


FORKING = """
import multiprocessing, os, signal, sys
import torch
from genolm_kernels import causal_conv1d, selective_scan
from genolm_kernels.native import library, native

class Items:
    def __len__(self):
        return 4
    def __getitem__(self, index):
        torch.set_num_threads(2)
        return compute()

def compute():
    # So small that torch itself stays on one thread: OpenMP in a forked child is not its job.
    numbers = torch.Generator().manual_seed(1)
    u, delta, z = (torch.randn(2, 70, 40, generator=numbers).requires_grad_() for _ in range(3))
    B, C = (torch.randn(2, 70, 16, generator=numbers) for _ in range(2))
    A = -torch.rand(40, 16, generator=numbers)
    x = causal_conv1d(u, torch.randn(40, 4, generator=numbers), activation="silu")
    y = selective_scan(x, delta, A, B, C, z=z, delta_softplus=True)
    y.square().sum().backward()
    return torch.stack([y.detach(), u.grad, delta.grad])

def with_pool():
    return multiprocessing.get_context("fork").Pool(2).map(job, range(2))

def job(_):
    return compute().numpy()

def child():
    pid = os.fork()
    if pid == 0:
        os._exit(0 if torch.equal(compute(), wanted) and native().threads == threads else 1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

signal.alarm(60)  # a deadlock ends the process instead of the patience of whoever waits
torch.set_num_threads(1)
if sys.argv[1] == "loaded in the child":
    # The parent's OpenMP has threads, which no child inherits.
    torch.set_num_threads(2)
    torch.ones(1_000_000).exp()
    pid = os.fork()
    if pid == 0:
        compute()
        os._exit(0 if native().threads == "threads of its own" else 1)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
wanted = compute()
for count in (2, 3):
    torch.set_num_threads(count)
    assert torch.equal(compute(), wanted), f"{count} threads give other bits"
threads = native().threads
torch.ones(1_000_000).exp()
assert child() == 0
assert all(torch.equal(torch.from_numpy(found), wanted) for found in with_pool())
loader = torch.utils.data.DataLoader(Items(), batch_size=None, num_workers=2)
assert all(torch.equal(found, wanted) for found in loader)
assert torch.equal(compute(), wanted)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("story", ["used in the parent", "loaded in the child"])
@pytest.mark.skipif(TARGET is None, reason="there is no compiled code for this system")
def test_forked_children_compute_with_several_threads(story):
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "PYTHONPATH": str(ROOT / "kernels")}
    command = [sys.executable, "-c", textwrap.dedent(FORKING), story]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="torch's OpenMP is used on Linux only")
@needs_compiler
def test_the_threads_are_torchs_though_another_package_loads_its_own_openmp(source):
    program = (
        "import ctypes, sklearn.linear_model, torch; from genolm_kernels.native import native;"
        "runtime = ctypes.CDLL(torch._C.__file__);"
        "address = ctypes.cast(runtime.GOMP_parallel, ctypes.c_void_p).value;"
        "ranges = [line.split(maxsplit=5) for line in open('/proc/self/maps')];"
        "[name] = [line[-1] for line in ranges for low, high in [line[0].split('-')]"
        " if int(low, 16) <= address < int(high, 16)];"
        "assert 'torch' in name, name;"
        'assert native().threads == "torch\'s threads"'
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "kernels")}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
