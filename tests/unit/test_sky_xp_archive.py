"""BP and RP spectra of the embedded sky, held to rows of the archive."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mwatlas.sky.spectra import WAVELENGTH_NM
from mwatlas.sky.xp_instrument import PRISMS, instrument
from mwatlas.sky.xp_noise import fisher_matrices, relevant_bases
from mwatlas.tables.xp import XP_CONTINUOUS_MEAN_SPECTRUM


@pytest.fixture(autouse=True)
def _gaiaxpy_leaves_matplotlib_alone() -> None:
    """The first import of GaiaXPy must be the one that restores matplotlib's settings."""
    instrument()


def archive_rows(folder: Path) -> pd.DataFrame:
    """Real spectra, with arrays."""
    folder = folder / "xp_continuous"
    rows = pd.concat(
        [
            pd.read_parquet(folder / "xp_continuous_mean_spectrum_30.parquet"),
            pd.read_csv(folder / "XP_CONTINUOUS_RAW_with_missing_BP.csv", comment="#"),
        ],
        ignore_index=True,
    )
    for name in rows:
        if any(isinstance(value, str) for value in rows[name]):
            rows[name] = [
                np.array(v.strip("()").split(","), dtype=float) if isinstance(v, str) else None
                for v in rows[name]
            ]
    return rows


def test_table_equals_the_archive_table(survey_data: Path) -> None:
    rows = archive_rows(survey_data)
    assert XP_CONTINUOUS_MEAN_SPECTRUM.names == tuple(rows.columns)
    for column in XP_CONTINUOUS_MEAN_SPECTRUM.columns:
        present = [v for v in rows[column.name] if isinstance(v, np.ndarray) or pd.notna(v)]
        assert np.size(present[0]) == column.length
        values = np.stack(present)
        if column.dtype.startswith("int"):
            np.testing.assert_array_equal(values.astype(column.dtype), values)
        elif column.dtype == "float32":
            # The archive prints single-precision numbers with the digits they have.
            np.testing.assert_allclose(values.astype(np.float32).astype(float), values, rtol=1e-7)
    complete = rows.dropna(ignore_index=True).sort_values("source_id")
    XP_CONTINUOUS_MEAN_SPECTRUM.conform(
        {name: np.stack(list(complete[name])) for name in complete}, "archive"
    )


def test_archive_spectra_have_the_errors_of_the_model(survey_data: Path) -> None:
    rows = archive_rows(survey_data)
    for prism in PRISMS:
        mine = rows[rows[f"{prism}_coefficients"].notna()]
        coefficients, errors = (
            np.stack(list(mine[f"{prism}_{name}"]))
            for name in ("coefficients", "coefficient_errors")
        )
        samples = mine[f"{prism}_n_measurements"].to_numpy(dtype=int)
        bases = instrument().prisms[prism].internal_bases
        information = fisher_matrices(coefficients, bases, samples)
        expected = np.sqrt(np.linalg.inv(information).diagonal(axis1=1, axis2=2))
        ratio = np.median(np.log(errors / expected)[:, :20], axis=1)
        # Errors scatter from star to star by a quarter, with standard_deviation and gates.
        assert np.abs(np.median(ratio)) < 0.25
        assert np.quantile(np.abs(ratio), 0.9) < 2 * 0.25
        same = relevant_bases(coefficients, errors) == mine[f"{prism}_n_relevant_bases"]
        assert same.mean() > 0.9


def test_archive_coefficients_are_recovered_from_their_spectra(survey_data: Path) -> None:
    from gaiaxpy import calibrate

    rows = archive_rows(survey_data).dropna(ignore_index=True).iloc[:5]
    integers = [n for n in rows if "_n_" in n]
    rows[integers] = rows[integers].astype(int)
    with contextlib.redirect_stdout(io.StringIO()):
        table, wavelength = calibrate(
            rows.copy(), sampling=np.arange(336.0, 1021.0, 2.0), save_file=False
        )
    for prism in PRISMS:
        for star in range(len(rows)):
            flux = np.interp(WAVELENGTH_NM, wavelength, table["flux"][star])
            found = instrument().prisms[prism].to_coefficients @ flux
            bases = instrument().prisms[prism].internal_bases
            internal, wanted = found @ bases, rows[f"{prism}_coefficients"][star] @ bases
            # Spectra end at 336 and 1020 nm and are merged near 640: compare pixels in between.
            middle = slice(40, 80)
            np.testing.assert_allclose(internal[middle], wanted[middle], atol=0.02 * wanted.max())
