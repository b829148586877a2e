"""``genolm doctor``: what runs on this machine, and whether it computes what it should."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from genolm_kernels.self_test import Check

PACKAGES = ("genolm", "torch", "transformers", "triton", "numpy")


def doctor(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of the tables.")
    ] = False,
) -> int:
    """Say what runs on this machine, and test that every backend computes the same.

    Each operator runs on each backend that runs here, gradients too, and is compared with the
    reference: the table has the largest error, or the reason why a backend does not run. Exit
    code 1 means that one of them is wrong.

    Example: `genolm doctor`
    """
    import json

    from genolm_kernels.self_test import self_test

    facts = _facts()
    checks = self_test()
    failed = [check for check in checks if check.failure is not None]
    if as_json:
        rows = [check._asdict() for check in checks]
        print(json.dumps({"ok": not failed, **facts, "operators": rows}, indent=2))
    else:
        _print_facts(facts)
        _print_table(checks)
        for check in failed:
            print(f"WRONG: {check.operator} on {check.backend}: {check.failure}")
        print("something above is wrong" if failed else "all that runs here computes the same")
    return 1 if failed else 0


def _facts() -> dict[str, Any]:
    import platform

    import torch

    from genolm_kernels.native import native, processor

    found = native()
    return {
        "versions": {"python": platform.python_version(), **_versions()},
        "compiled": {
            "kind": found.kind,
            "processor": found.processor,
            "path": str(found.path) if found.path else None,
            "threads": found.threads,
            "reason": found.reason,
        },
        "cpu": processor.model_name(),
        "threads": torch.get_num_threads(),
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def _versions() -> dict[str, str | None]:
    from importlib.metadata import PackageNotFoundError, version

    versions: dict[str, str | None] = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    return versions


def _print_facts(facts: dict[str, Any]) -> None:
    from genolm_kernels.native import describe

    versions = [f"{name} {value or 'not installed'}" for name, value in facts["versions"].items()]
    print(f"versions          {', '.join(versions)}")
    print(f"processor         {facts['cpu']}, {facts['threads']} threads")
    print(f"compiled library  {describe()}")
    print(f"CUDA              {facts['cuda'] or 'no device'}")


def _print_table(checks: "list[Check]") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("operator", "backend", "here", "largest error")
    for last, check in zip([None, *checks], checks, strict=False):
        name = "" if last is not None and last.operator == check.operator else check.operator
        error = "" if check.error is None else f"{check.error:.0e}"
        table.add_row(name, check.backend, check.status, error)
    # Reasons speak of genolm[triton], which is no markup.
    Console(highlight=False, markup=False).print(table)
