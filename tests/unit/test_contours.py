"""Containment contours and covariance ellipses hold what they say."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.special import ndtr
from scipy.stats import chi2

from mwatlas.distributions import containment_levels, principal_axes, tilt_deg
from mwatlas.figures.contours import CONTAINMENT, contour_levels, draw_contours, scott_widths
from mwatlas.figures.ellipse import ellipse
from mwatlas.figures.planes import Plane

SIGMA = np.array([3.0, 1.5])
EDGES = np.linspace(-15, 15, 121)
WIDTH = EDGES[1] - EDGES[0]


def _exact() -> np.ndarray:
    """Probability of a Gaussian with axes SIGMA in each bin."""
    x, y = (np.diff(ndtr(EDGES / sigma)) for sigma in SIGMA)
    return x[:, None] * y


def _sample(number: int, seed: int) -> Plane:
    points = np.random.default_rng(seed).normal(size=(number, 2)) * SIGMA
    counts, _, _ = np.histogram2d(*points.T, (EDGES, EDGES))
    return Plane(EDGES, EDGES, counts, float(number))


def test_regions_of_a_gaussian_have_the_area_of_its_ellipses() -> None:
    counts = _exact()
    for share, level in zip(CONTAINMENT, containment_levels(counts, CONTAINMENT), strict=True):
        axes = SIGMA * np.sqrt(chi2.ppf(share, 2))
        area = (counts >= level).sum() * WIDTH**2
        # Bins are in or out. Those that the ellipse crosses are two for each step in x and in y;
        # their errors have either sign, so that the root of their number remains.
        crossed = 4 * axes.sum() / WIDTH
        assert area == pytest.approx(np.pi * axes.prod(), abs=4 * np.sqrt(crossed) * WIDTH**2)


def test_thresholds_are_the_largest_that_hold_the_share() -> None:
    counts = np.random.default_rng(0).poisson(3, (30, 30))
    for share in (0.1, 0.5, 0.99):
        (level,) = containment_levels(counts, [share])
        assert counts[counts >= level].sum() >= share * counts.sum()
        assert counts[counts > level].sum() < share * counts.sum()


def test_equal_bins_are_all_in_or_all_out() -> None:
    levels = containment_levels([[2, 2], [1, 0]], [0.1, 0.8, 0.81, 1.0])
    np.testing.assert_array_equal(levels, [2, 2, 1, 1])


def test_scaled_and_split_counts_give_the_same_regions() -> None:
    counts = np.random.default_rng(1).poisson(20, (40, 40))
    half = np.random.default_rng(2).binomial(counts, 0.5)
    whole = containment_levels(counts, CONTAINMENT)
    np.testing.assert_array_equal(containment_levels(half + (counts - half), CONTAINMENT), whole)
    np.testing.assert_allclose(containment_levels(counts / 5, CONTAINMENT), whole / 5, rtol=1e-15)


def test_stars_outside_of_the_bins_count() -> None:
    counts = np.array([6.0, 2.0, 1.0])
    np.testing.assert_array_equal(
        containment_levels(counts, [0.3, 0.6, 0.9, 0.95], total=10), [6, 6, 1, np.nan]
    )


def test_nothing_has_no_thresholds() -> None:
    assert np.isnan(containment_levels(np.zeros((3, 3)), CONTAINMENT)).all()


@pytest.mark.parametrize(("number", "trials"), [(40, 100), (500, 100), (500_000, 2)])
def test_contours_of_few_and_of_many_stars_hold_the_shares(number: int, trials: int) -> None:
    """What the contours of a sample hold of the distribution it was drawn from."""
    exact, held = _exact(), []
    for seed in range(trials):
        density, levels = contour_levels(_sample(number, seed))
        held.append([exact[density >= level].sum() for level in levels])
    shares = np.array(CONTAINMENT)
    # A sample places a contour by its own quantile, hence the binomial scatter; its shape adds
    # about as much. A bin on the contour holds 0.2 per cent at most.
    scatter = np.sqrt(shares * (1 - shares) / number)
    assert (np.std(held, axis=0) < 1.6 * scatter + 0.002).all()
    # The mean is nearer by the root of the trials, up to the bias of the estimated shape: of the
    # order of the scatter of one sample.
    allowed = 3 * scatter / np.sqrt(trials) + 0.6 * scatter + 0.002
    assert (np.abs(np.mean(held, axis=0) - shares) < allowed).all()


def test_smoothing_follows_scott_and_ends_where_the_bins_do_it() -> None:
    number = 500
    expected = np.sqrt((SIGMA / WIDTH) ** 2 * number ** (-1 / 3) - 1 / 12)
    # The width of a sample has a relative error of 1 / sqrt(2 n); quartiles are 1.6 times worse.
    np.testing.assert_allclose(scott_widths(_sample(number, 3).counts), expected, rtol=0.2)
    assert scott_widths(1e15 * _exact()) == (0, 0)


def test_a_wide_tail_does_not_blur_a_narrow_core() -> None:
    core = _sample(20_000, 4).counts
    tail = core.copy()
    tail[::6, ::6] += 5
    np.testing.assert_allclose(scott_widths(tail), scott_widths(core), rtol=0.2)


@pytest.mark.parametrize("points", [0, 1, 9])
def test_too_few_stars_have_no_contours(points: int) -> None:
    axes = Figure().subplots()
    assert not draw_contours(axes, _sample(points, 5), "black", "-")
    assert not axes.collections


def test_stars_in_one_bin_are_drawn_without_smoothing() -> None:
    counts = np.zeros((120, 120))
    counts[50, 60] = 1000
    plane = Plane(EDGES, EDGES, counts, 1000.0)
    assert max(scott_widths(counts)) < 1
    assert draw_contours(Figure().subplots(), plane, "black", "-")


@pytest.mark.parametrize("angle", [-89.0, -30.0, 0.0, 12.5, 59.0, 85.0, 90.0])
def test_a_turned_ellipse_is_recovered(angle: float) -> None:
    turn = np.radians(angle)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    covariance = rotation @ np.diag([4.0, 1.0]) @ rotation.T
    lengths, _ = principal_axes(covariance)
    np.testing.assert_allclose(lengths, [2, 1], rtol=1e-12)
    assert tilt_deg(covariance) == pytest.approx(angle, abs=1e-6)
    outline = ellipse((1.0, -2.0), covariance, 1.5)
    # Ends of the axes: the outline is a circle of radius 1 that is stretched, turned and moved.
    ends = outline.get_patch_transform().transform([[1, 0], [0, 1]]) - [1, -2]
    ends *= np.sign(np.sum(ends * rotation.T, axis=1, keepdims=True))
    np.testing.assert_allclose(ends, [3 * rotation[:, 0], 1.5 * rotation[:, 1]], atol=1e-9)


def test_the_one_sigma_ellipse_holds_what_chi_square_says() -> None:
    rng = np.random.default_rng(6)
    covariance = np.array([[3.0, 1.2], [1.2, 2.0]])
    points = rng.multivariate_normal([0, 0], covariance, 100_000)
    outline = ellipse((0.0, 0.0), np.cov(points.T))
    inside = outline.get_patch_transform().inverted().transform(points)
    share = (np.hypot(*inside.T) < 1).mean()
    # Binomial scatter of 100,000 points, 0.0015.
    assert share == pytest.approx(chi2.cdf(1, 2), abs=0.006)


def test_axes_of_an_ellipsoid_are_in_decreasing_order() -> None:
    lengths, directions = principal_axes(np.diag([0.81, 1.0404, 1.0403]))
    np.testing.assert_allclose(lengths, np.sqrt([1.0404, 1.0403, 0.81]))
    np.testing.assert_allclose(np.abs(directions[:, 2]), [1, 0, 0])
