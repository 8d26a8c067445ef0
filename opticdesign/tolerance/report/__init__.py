"""The tolerance report: one standalone HTML page that a laboratory can send to its workshop."""

from opticdesign.tolerance.report.page import write_report

__all__ = ["write_report"]
