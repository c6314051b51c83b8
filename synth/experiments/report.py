"""stub"""

from pathlib import Path


def write_report(output: Path) -> Path:
    return output / "report.md"
