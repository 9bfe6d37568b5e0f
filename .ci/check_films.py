"""After ``radsuite analyze`` on the six shared DICOM films: chests are read, leg and hip are refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from suite.report.schema import validate


def main(folder: Path) -> int:
    """Compare every report with what the film shows; returns the number of films read wrongly."""
    wrong = 0
    for path in sorted(folder.glob("*/report.json")):
        report = json.loads(path.read_text())
        validate(report)
        is_chest = path.parent.name.startswith("chest")
        accepted = report["gate"]["accepted"]
        complete = accepted == (report["findings"] is not None)
        wrong += not (accepted == is_chest and complete)
        sys.stdout.write(
            f"{path.parent.name}: {'accepted' if accepted else 'refused'} {report['gate']['reasons']}\n"
        )
    return wrong


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
