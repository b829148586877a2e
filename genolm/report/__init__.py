"""One self-contained HTML file from a run."""

from genolm.report.run_report import write_report

__all__ = ["write_report"]
