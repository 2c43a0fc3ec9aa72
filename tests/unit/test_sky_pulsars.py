"""Binary pulsars of the embedded sky."""

from typing import Any

import astropy.units as u
import numpy as np
import pandas as pd
import pytest
from astropy.constants import c
from galpy.potential import MWPotential2014, evaluateRforces, evaluatezforces
from pydantic import ValidationError

from mwatlas.config.sky_pulsars import SkyPulsars
from mwatlas.sky import pulsars
from mwatlas.sky.galaxy import SKY_FRAME
from mwatlas.tables.pulsars import PSRCAT, PULSAR_ACCELERATIONS

PULSARS: dict[str, Any] = {
    "number": 26,
    "distance_scale_kpc": 0.4,
    "distance_range_kpc": [0.15, 3.0],
    "scale_height_kpc": 0.5,
    "velocity_dispersion_kms": 60.0,
    "period_range_days": [0.1, 70.0],
    "pulsar_mass_range_msun": [1.2, 2.0],
    "companion_mass_range_msun": [0.15, 1.3],
    "eccentricity_range": [1e-5, 0.6],
    "parallax_relative_error_range": [0.01, 0.15],
    "proper_motion_error_range_masyr": [0.002, 0.1],
    "companion_mass_error_range": [5e-4, 5e-2],
    "acceleration_error_range_mm_s_yr": [0.05, 5.0],
}


def test_accelerations_agree_with_galpy() -> None:
    rng = np.random.default_rng(2)
    _, sun = SKY_FRAME.affine()
    position = sun + rng.normal(0, 1, (20, 3))
    # galpy's potential is normalised to 220 km/s at 8 kpc.
    unit = 220.0**2 / 8.0

    def theirs(place: Any) -> Any:
        radius = np.hypot(place[:, 0], place[:, 1])
        out = np.empty_like(place)
        for n, (r, z) in enumerate(zip(radius / 8, place[:, 2] / 8, strict=True)):
            outward = evaluateRforces(MWPotential2014, r, z) * unit
            out[n, :2] = outward * place[n, :2] / radius[n]
            out[n, 2] = evaluatezforces(MWPotential2014, r, z) * unit
        return out

    ours = pulsars.line_of_sight_acceleration(position, pulsars.galactic_acceleration)
    expected = pulsars.line_of_sight_acceleration(position, theirs)
    # gala gives the parameters of the potential to four digits; the gradients over a kpc are
    # differences of accelerations of 6 mm/s/yr.
    np.testing.assert_allclose(ours, expected, atol=6e-3)


def test_a_linear_field_accelerates_in_proportion_to_distance() -> None:
    _, sun = SKY_FRAME.affine()
    position = sun + np.array([[0.0, 0.0, 2.0], [0.5, 0.0, 0.0]])
    rate = np.array([-1.0, 2.0, -3000.0])
    a_los = pulsars.line_of_sight_acceleration(position, lambda x: x * rate)
    np.testing.assert_allclose(a_los, pulsars.MM_S_YR * np.array([-6000.0, -0.5]), rtol=1e-9)


def test_the_double_pulsar_decays_as_published() -> None:
    # Kramer et al. (2021, PRX 11, 041050): intrinsic PBDOT -1.24792e-12 for masses 1.338185 and
    # 1.248868; it agrees with gravitational waves to 1e-4, of which higher orders are 1.4e-4.
    decay = pulsars.gravitational_wave_decay(0.1022515592973, 0.087777023, 1.338185, 1.248868)
    assert decay == pytest.approx(-1.24792e-12, rel=3e-4)
    axis = pulsars.projected_axis(0.1022515592973, 1.338185, 1.248868, 0.99994)
    # Relativity corrects Kepler's law by (orbital speed / c)**2, some 1e-5.
    assert axis == pytest.approx(1.415028603, rel=2e-4)
    mass = pulsars.mass_of_pulsar(0.1022515592973, axis, 1.248868, 0.99994)
    assert mass == pytest.approx(1.338185, rel=1e-12)


def test_the_relation_of_periods_holds_for_the_truth() -> None:
    truth = pulsars.draw_pulsars(SkyPulsars(**PULSARS), 3)
    assert len(truth["ra"]) == 26
    decay = pulsars.gravitational_wave_decay(
        truth["period_days"],
        truth["eccentricity"],
        truth["pulsar_mass"],
        truth["companion_mass"],
    )
    period = truth["period_days"] * u.d
    motion = np.hypot(truth["pmra"], truth["pmdec"]) * u.mas / u.yr
    shklovskii = (motion**2 * truth["distance_kpc"] * u.kpc / c).to(
        1 / u.s, u.dimensionless_angles()
    )
    galactic = (truth["a_los"] * u.mm / u.s / u.yr / c).to(1 / u.s)
    expected = decay + ((shklovskii + galactic) * period).to_value(u.one)
    np.testing.assert_allclose(truth["pbdot"], expected, rtol=1e-10)
    # Within 3 kpc accelerations differ from the Sun's by less than its own, 6.4 mm/s/yr.
    assert np.abs(truth["a_los"]).max() < 6.4
    assert truth["distance_kpc"].max() < 3.0


def test_measurements_scatter_by_their_errors() -> None:
    settings = SkyPulsars(**{**PULSARS, "number": 4000})
    truth = pulsars.draw_pulsars(settings, 4)
    timing = PSRCAT.conform(pulsars.observe_pulsars(truth, settings, 4), "test")
    true = {
        "PBDOT": truth["pbdot"],
        "PX": 1 / truth["distance_kpc"],
        "PMRA": truth["pmra"],
        "PMDEC": truth["pmdec"],
        "M2": truth["companion_mass"],
        "SINI": truth["sine"],
        "ECC": truth["eccentricity"],
    }
    for name, value in true.items():
        pull = (timing[name] - value) / timing[f"{name}_ERR"]
        # Errors of mean and standard deviation of 4000 values: 1/63 and 1/89.
        assert abs(pull.mean()) < 4 / 63, name
        assert pull.std() == pytest.approx(1, abs=4 / 89), name
    derived = PULSAR_ACCELERATIONS.conform(pulsars.derive_accelerations(timing), "test")
    pull = (derived["a_los"] - truth["a_los"]) / derived["a_los_err"]
    # 1/PX is not normal where the parallax is poor: compare the middle 68 per cent, whose half
    # width of 4000 normal values has a standard error of 0.012, and allow 0.03 for that.
    low, high = np.percentile(pull, [15.865, 84.135])
    assert (high - low) / 2 == pytest.approx(1, abs=4 * 0.012 + 0.03)
    assert np.median(pull) == pytest.approx(0, abs=4 * 1.25 / 63 + 0.03)


def test_perfect_timing_returns_the_acceleration() -> None:
    tiny = [1e-12, 1e-11]
    settings = SkyPulsars(
        **{
            **PULSARS,
            "parallax_relative_error_range": tiny,
            "proper_motion_error_range_masyr": tiny,
            "companion_mass_error_range": tiny,
            "acceleration_error_range_mm_s_yr": tiny,
            "period_range_days": [20.0, 70.0],
            "eccentricity_range": [1e-5, 1e-4],
        }
    )
    truth = pulsars.draw_pulsars(settings, 6)
    derived = pulsars.derive_accelerations(pulsars.observe_pulsars(truth, settings, 6))
    # What is left are the errors of axis, period and sine: below 1e-3 of a decay that is itself
    # below 0.1 mm/s/yr for periods above 20 days.
    np.testing.assert_allclose(derived["a_los"], truth["a_los"], atol=1e-4)
    assert (derived["a_los_err"] < 1e-4).all()


def test_the_raw_table_has_the_columns_of_the_catalogue(survey_data: Any) -> None:
    real = pd.read_csv(survey_data / "pulsar_binaries_pbdot.csv")
    assert set(PSRCAT.names) <= set(real.columns)
    settings = SkyPulsars(**PULSARS)
    ours = pulsars.observe_pulsars(pulsars.draw_pulsars(settings, 3), settings, 3)
    assert pd.Series(ours["PSRJ"]).str.fullmatch(r"J\d{4}[+-]\d{4}").all()
    usable = real[real.PX.notna() & (real.PBDOT.abs() < 1e-11) & ~real.BINARY.eq("MSS")]
    # Units agree: medians lie within a factor of ten.
    for name in ("PX", "PB", "A1", "M2"):
        assert abs(np.log10(np.median(ours[name]) / usable[name].median())) < 1, name


@pytest.mark.parametrize(
    "change",
    [
        {"number": 0},
        {"distance_range_kpc": [3.0, 0.1]},
        {"parallax_relative_error_range": [0.01, 0.5]},
        {"eccentricity_range": [0.1, 1.0]},
        {"period_range_days": [0.0, 1.0]},
        {"unknown": 1},
    ],
)
def test_bad_settings_of_pulsars_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SkyPulsars(**{**PULSARS, **change})
