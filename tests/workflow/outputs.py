"""What of a run must not depend on how it was run."""

from __future__ import annotations

import hashlib
from pathlib import Path


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def science(results: Path) -> dict[str, str]:
    """Digest of every file that does not depend on the partitioning by its definition."""
    patterns = (
        "line_of_sight/catalogs/**/*",
        "line_of_sight/data/*",
        "line_of_sight/figures/*",
        "line_of_sight/tables/*",
        "line_of_sight/folds/*",
        "line_of_sight/variants/*/catalogs/**/*",
        "line_of_sight/variants/*/data/*",
        "sky/**/*",
        "catalogs/surveys/*",
        "raw/*",
        "conditional_potential/data/*",
        "conditional_potential/figures/*",
        "conditional_potential/tables/tab01.*",
        # Not of networks: their table has the time that training took.
        *(
            f"conditional_potential/**/{name}.parquet"
            for name in ("points", "plane", "sky", "phase")
        ),
        "conditional_potential/**/*.h5",
        "conditional_potential/variants/*/data/*",
        "models/conditional_potential/**/*.h5",
        "models/**/*.keras",
        "models/**/*.parquet",
        "ledger.json",
        "ledger.parquet",
    )
    return {
        str(path.relative_to(results)): _digest(path)
        for pattern in patterns
        for path in sorted(results.glob(pattern))
        if path.is_file()
    }
