"""What the stars of the embedded sky look like: evolution, colours, abundances, the library."""

import numpy as np
import pytest
from MeanStars import MeanStars

from mwatlas.sky.chemistry import (
    draw_abundances,
    fe_h_shift,
    metallicity_shares,
    nearest_track,
    overall_metallicity,
)
from mwatlas.sky.colours import BANDS, absolute_magnitudes, colour_of, temperature
from mwatlas.sky.evolution import evolve, giant_temperature, surface_gravity
from mwatlas.sky.galaxy import SKY_FRAME, Galaxy
from mwatlas.sky.stars import M_H_GRID, PROPERTIES, Library, initial_masses

SUN = SKY_FRAME.affine()[1][None]
M_G, TEFF, LOGG = (PROPERTIES.index(name) for name in ("m_g", "teff", "logg"))


def test_initial_masses_follow_kroupa() -> None:
    masses, number = initial_masses()
    for low, high, slope in ((0.12, 0.45, 1.3), (0.75, 5.0, 2.3)):
        inside = (masses >= low) & (masses < high)
        middle = np.sqrt(low * high)
        below, above = number[inside & (masses < middle)], number[inside & (masses >= middle)]
        expected = (low ** (1 - slope) - middle ** (1 - slope)) / (
            middle ** (1 - slope) - high ** (1 - slope)
        )
        # The limits fall within a bin, 2 to 8 per cent wide.
        assert below.sum() / above.sum() == pytest.approx(expected, rel=0.12)


def test_a_solar_track_passes_the_sun() -> None:
    tracks = evolve(np.array([1.0]), 0.0, 10.0)
    main = tracks.stage <= 1
    assert np.interp(4.57, tracks.age_gyr[main], tracks.log_luminosity[main]) == pytest.approx(
        0.0, abs=0.05
    )
    # SSE's fits hold to 5 per cent in luminosity and radius: 2 per cent in temperature.
    assert np.interp(4.57, tracks.age_gyr[main], tracks.teff[main]) == pytest.approx(5772, rel=0.02)
    assert np.interp(4.57, tracks.age_gyr[main], tracks.logg[main]) == pytest.approx(4.44, abs=0.03)


def test_rows_of_a_track_fill_its_time() -> None:
    tracks = evolve(np.array([0.5, 1.5, 3.0]), 0.0, 12.0)
    for track in range(3):
        mine = tracks.track == track
        np.testing.assert_allclose(tracks.end_gyr[mine][:-1], tracks.start_gyr[mine][1:])
        assert tracks.start_gyr[mine][0] == 0
    assert tracks.end_gyr[tracks.track == 0][-1] == pytest.approx(12.0)


def test_colours_invert_the_temperature() -> None:
    rng = np.random.default_rng(4)
    teff, fe_h = rng.uniform(4500, 6500, 200), rng.uniform(-1.0, 0.3, 200)
    logg = rng.uniform(2, 4.6, 200)
    for colour in ("bp_rp", "g_rp", "g_j", "g_h", "g_ks"):
        value = colour_of(colour, teff, logg, fe_h)
        np.testing.assert_allclose(temperature(colour, value, logg, fe_h), teff, atol=0.1)


def test_the_sun_has_its_magnitudes() -> None:
    one = np.ones(1)
    m_g, others = absolute_magnitudes(5772 * one, 4.44 * one, 0 * one, 0 * one)
    bands = dict(zip(BANDS, others[:, 0], strict=True))
    # Casagrande & VandenBerg (2018): M_G = 4.67, BP - RP = 0.82; Willmer (2018): M_Ks = 3.27.
    assert m_g[0] == pytest.approx(4.67, abs=0.03)
    assert bands["bp"] - bands["rp"] == pytest.approx(0.82, abs=0.02)
    assert bands["ks"] == pytest.approx(3.27, abs=0.04)
    assert bands["j"] - bands["ks"] == pytest.approx(0.36, abs=0.03)


def test_cool_dwarfs_lie_on_the_dwarf_sequence() -> None:
    teff = np.array([3400.0, 3700.0])
    _, others = absolute_magnitudes(teff, np.full(2, 4.9), np.zeros(2), np.full(2, -1.7))
    sequence = MeanStars()
    for i, value in enumerate(teff):
        expected = sequence.TeffColor("Bp", "Rp", value)
        # The package interpolates through a point more or less.
        assert others[0, i] - others[1, i] == pytest.approx(float(expected), abs=0.05)


def test_the_coolest_giants_have_no_colours() -> None:
    m_g, _ = absolute_magnitudes(np.array([3300.0]), np.array([0.5]), np.zeros(1), np.array([3.3]))
    assert np.isnan(m_g[0])


def test_the_red_clump_has_its_magnitude() -> None:
    """M_Ks = -1.61 +- 0.01 with a scatter of 0.17 mag (Hawkins et al. 2017)."""
    tracks = evolve(np.array([1.2]), 0.0, 12.0)
    clump = tracks.stage == 4
    zero = np.zeros(clump.sum())
    _, others = absolute_magnitudes(
        tracks.teff[clump], tracks.logg[clump], zero, tracks.log_luminosity[clump]
    )
    weight = (tracks.end_gyr - tracks.start_gyr)[clump]
    ks = others[BANDS.index("ks")]
    order = np.argsort(ks)
    median = ks[order][np.searchsorted(np.cumsum(weight[order]), 0.5 * weight.sum())]
    # Tracks and colours each leave a tenth of a magnitude.
    assert median == pytest.approx(-1.61, abs=0.15)


def test_the_library_stays_within_its_populations(library: Library, galaxy: Galaxy) -> None:
    assert (np.diff(library.properties[..., M_G], axis=2) >= 0).all()
    assert (np.diff(library.cumulative, axis=2) >= 0).all()
    np.testing.assert_allclose(library.cumulative[..., -1], 1)
    for member, population in enumerate(galaxy.populations):
        age = library.properties[member, :, :, PROPERTIES.index("age_gyr")]
        assert age.min() >= population.age_gyr[0]
        assert age.max() <= population.age_gyr[1]


def test_stars_are_picked_by_their_share(library: Library) -> None:
    limits = np.array([-1.0, 4.0])
    track = np.full(1, 30)
    low, high = library.share_between(3, track, limits[:1], limits[1:])
    assert 0 <= low[0] < high[0] < 1
    share = low + (high - low) * np.random.default_rng(1).random(2000)
    m_g = library.pick(3, np.full(2000, 30), share)[:, M_G]
    assert limits[0] <= m_g.min()
    assert m_g.max() <= limits[1]
    # The picked magnitudes follow the library's own distribution.
    middle = np.array([3.5])
    _, below = library.share_between(3, track, limits[:1], middle)
    expected = ((below - low) / (high - low))[0]
    assert (m_g < 3.5).mean() == pytest.approx(expected, abs=4 * np.sqrt(0.25 / 2000))


def test_alpha_raises_the_metallicity() -> None:
    assert overall_metallicity(np.zeros(1), np.zeros(1))[0] == pytest.approx(0, abs=1e-12)
    # Salaris et al. (1993): about 0.21 dex at [alpha/Fe] = 0.3.
    assert overall_metallicity(np.zeros(1), np.full(1, 0.3))[0] == pytest.approx(0.21, abs=0.01)


def test_metallicities_are_drawn_with_their_shares(galaxy: Galaxy) -> None:
    rng = np.random.default_rng(8)
    place = np.array([[-8.122, 0, 0.0]])
    for population in galaxy.populations:
        drawn_at = np.repeat(place, 20_000, axis=0)
        fe_h, alpha_m = draw_abundances(population, drawn_at, rng)
        drawn = np.bincount(nearest_track(overall_metallicity(fe_h, alpha_m)), minlength=41)
        shift = float(fe_h_shift(population, place)[0])
        shares = metallicity_shares(population, shift, 1.0)
        assert shares.sum() == pytest.approx(1)
        # Five bins wide: the scatter of alpha, left out of the shares, moves 0.05 dex at most.
        coarse = np.add.reduceat(shares, np.arange(0, 41, 5))
        found = np.add.reduceat(drawn, np.arange(0, 41, 5)) / 20_000
        np.testing.assert_allclose(found, coarse, atol=0.02)


def test_without_alpha_the_tracks_are_those_of_the_iron(galaxy: Galaxy) -> None:
    thick = next(p for p in galaxy.populations if p.component == 1)
    with_alpha, without = (metallicity_shares(thick, 0.0, strength) for strength in (1.0, 0.0))
    raised = (with_alpha - without) @ M_H_GRID
    # Salaris et al. (1993) at the mean [alpha/M] of the population.
    mean = overall_metallicity(np.zeros(1), np.full(1, thick.chemistry.alpha_m))[0]
    assert raised == pytest.approx(mean, abs=0.03)


def test_there_are_two_sequences_in_alpha(galaxy: Galaxy) -> None:
    rng = np.random.default_rng(9)
    place = np.repeat(SUN, 5000, axis=0)

    def alpha_near(component: int, fe_h: float) -> float:
        (population,) = [p for p in galaxy.populations if p.component == component][-1:]
        iron, alpha = draw_abundances(population, place, rng)
        return float(np.median(alpha[np.abs(iron - fe_h) < 0.1]))

    # Near [Fe/H] = -0.4 the sequences lie 0.15 dex apart (Hayden et al. 2015); GSE lies below
    # the thick disc at -0.9 (Helmi et al. 2018).
    assert alpha_near(1, -0.4) - alpha_near(0, -0.4) > 0.12
    assert alpha_near(1, -0.9) - alpha_near(3, -0.9) > 0.08


def test_the_bulge_has_its_gradient(galaxy: Galaxy) -> None:
    (bulge,) = (p for p in galaxy.populations if p.component == 4)
    low, high = fe_h_shift(bulge, np.array([[1.0, 0, 0.7], [1.0, 0, -1.6]]))
    assert (high - low) / 0.9 == pytest.approx(-0.53)


def test_giants_follow_the_observed_temperatures() -> None:
    """The relation holds for the gravity that luminosity, mass and temperature give."""
    log_luminosity, mass = np.array([1.0, 1.7, 2.5]), np.array([1.0, 1.2, 0.9])
    none = np.zeros(3, dtype=bool)
    for m_h in (-1.5, 0.0):
        teff = giant_temperature(log_luminosity, mass, m_h, none)
        gravity = surface_gravity(log_luminosity, mass, teff)
        expected = 4580 + 518 * (gravity - 2.5) - 413 * m_h - 24 * m_h**2
        np.testing.assert_allclose(teff, expected, atol=0.1)
    # Metal-poor giants are hotter at every luminosity, without jumps.
    grid = np.array(
        [giant_temperature(log_luminosity, mass, m, none) for m in np.arange(-2.1, 0.31, 0.06)]
    )
    assert (np.diff(grid, axis=0) < 0).all()
    assert np.abs(np.diff(grid, axis=0)).max() < 40
