"""Relations between magnitudes."""

import numpy as np
import pytest
from pygaia.photometry.transformations import gbrminv_from_vminic

from mwatlas.photometry import effective_wavenumber, g_from_johnson


def test_g_equals_the_published_cubic() -> None:
    x = 0.65
    expected = 5.0 - 0.04749 - 0.0124 * x - 0.2901 * x**2 + 0.02008 * x**3
    assert g_from_johnson(5.0, x) == pytest.approx(expected, abs=1e-12)


def test_g_agrees_with_another_published_relation() -> None:
    # Solar colours: B-V = 0.65, V-I = 0.70. Both relations have a scatter of about 0.05 mag.
    assert g_from_johnson(0.0, 0.65) == pytest.approx(gbrminv_from_vminic(0.70)[0], abs=0.07)


@pytest.mark.parametrize("colour", [-0.5, 3.4, np.nan])
def test_no_g_outside_the_range_of_the_relation(colour: float) -> None:
    assert np.isnan(g_from_johnson(5.0, colour))


def test_g_of_bright_stars_is_the_archives(survey_data) -> None:
    import pandas as pd

    bright = pd.read_parquet(survey_data / "gaia_dr3_bright.parquet").set_index("source_id")
    archive = pd.read_parquet(survey_data / "xp_continuous" / "gaia_source_32.parquet")
    both = bright.join(archive.set_index("source_id")[["phot_g_mean_mag"]], how="inner")
    difference = g_from_johnson(both.v_mag, both.b_v) - both.phot_g_mean_mag
    assert len(both) > 20
    # The relation's published scatter is 0.047 mag.
    assert abs(np.median(difference)) < 0.05


def test_wavenumber_falls_with_colour() -> None:
    colour = np.linspace(-0.5, 4, 50)
    wavenumber = effective_wavenumber(colour)
    assert (np.diff(wavenumber) < 0).all()
    # Lindegren et al. (2021) give 1.76 per um at colour zero.
    assert effective_wavenumber(0.0) == 1.76
