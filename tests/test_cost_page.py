"""docs/cost.md: its tables are what benchmarks/cost.py prints."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def cost():
    return runpy.run_path(str(ROOT / "benchmarks" / "cost.py"))


@pytest.mark.parametrize("table", ["published_table", "reported_table"])
def test_the_page_has_the_tables_that_the_script_prints(cost, table):
    assert cost[table]() in (ROOT / "docs" / "cost.md").read_text(encoding="utf-8")


def test_hours_follow_what_limits_the_gpu(cost):
    gpu = cost["GPUS"]["A100 80 GB"]
    products = cost["Run"](parameters=1, tokens=1, flops=312e12 * 3600, bytes=1.0)
    memory = cost["Run"](parameters=1, tokens=1, flops=1.0, bytes=2.039e12 * 7200)
    assert (products.hours(gpu), memory.hours(gpu)) == pytest.approx((1, 2))
    assert cost["hours"](memory, gpu) == "4 to 20"
