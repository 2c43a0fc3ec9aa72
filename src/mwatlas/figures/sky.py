"""Figures of the embedded sky itself: what its served tables contain."""

from __future__ import annotations

import matplotlib as mpl

mpl.use("agg")

import healpy
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mwatlas.figures.bins import draw_bins
from mwatlas.figures.mollweide import draw_mollweide
from mwatlas.figures.style import (
    BLACK,
    ONE_COLUMN_IN,
    RC,
    TWO_COLUMNS_IN,
)
from mwatlas.tables.table import Columns

Floats = NDArray[np.float64]

# The blue end of spectra of cool stars is noise.
_BLUE_NOISE_NM = 400.0


def fig01(data: Columns, title: str) -> Figure:
    """Sources on the sky, and extinction to 2 kpc, in Galactic coordinates.

    Parameters
    ----------
    data
        Table ``figure_sky_map``.
    title
        Name of the sample.
    """
    with mpl.rc_context(RC):
        figure = Figure(figsize=(TWO_COLUMNS_IN, 2.4), layout="constrained")
        panels = (
            ("sources", "sources per square degree", LogNorm),
            ("extinction", "$A_V$ to 2 kpc [mag]", LogNorm),
        )
        for number, (name, label, norm) in enumerate(panels, start=1):
            axes = figure.add_subplot(1, 2, number, projection="mollweide")
            mine = data["panel"] == name
            values = data["value"][mine][np.argsort(data["pixel"][mine])]
            if name == "sources":
                values = values / healpy.nside2pixarea(healpy.npix2nside(values.size), degrees=True)
            image = draw_mollweide(axes, *_positive(values, norm))
            figure.colorbar(image, ax=axes, label=label, orientation="horizontal", shrink=0.7)
        figure.suptitle(title, fontsize=8)
        return figure


def _positive(values: Floats, norm: type[Normalize]) -> tuple[Floats, Normalize]:
    """Positive values of a map, the others missing, and the range of colours they ask for."""
    positive = values[values > 0]
    low, high = np.percentile(positive, [1, 99.5]) if positive.size else (0.1, 1.0)
    return np.where(values > 0, values, np.nan), norm(low, max(high, 1.01 * low))


def fig02(data: Columns, title: str) -> Figure:
    """Colour-magnitude diagram of stars with parallaxes better than 10 per cent.

    Parameters
    ----------
    data
        Table ``figure_sky_bins``.
    title
        Name of the sample.
    """
    with mpl.rc_context(RC):
        figure = Figure(figsize=(ONE_COLUMN_IN, 3.8), layout="constrained")
        axes = figure.subplots()
        mesh = _bins(axes, data, "diagram")
        axes.set(xlim=(-0.6, 4), ylim=(12, -4))
        axes.set_xlabel(r"$G_{\rm BP}-G_{\rm RP}$ [mag]")
        axes.set_ylabel(r"$G + 5\,\log_{10}(\varpi/{\rm mas}) - 10$ [mag]")
        figure.colorbar(mesh, ax=axes, label="stars per bin")
        axes.set_title(title)
        return figure


def fig03(data: Columns, title: str) -> Figure:
    """Toomre diagram, and rotation against Galactocentric radius, of stars with a velocity.

    Parameters
    ----------
    data
        Table ``figure_sky_bins``.
    title
        Name of the sample.
    """
    with mpl.rc_context(RC):
        figure = Figure(figsize=(TWO_COLUMNS_IN, 2.9), layout="constrained")
        left, right = figure.subplots(1, 2)
        mesh = _bins(left, data, "toomre")
        left.set(xlim=(-300, 450), ylim=(0, 450), aspect="equal")
        left.set_xlabel(r"$v_{\rm rot}$ [km s$^{-1}$]")
        left.set_ylabel(r"$(v_R^2+v_z^2)^{1/2}$ [km s$^{-1}$]")
        _bins(right, data, "rotation")
        right.set(xlim=(3, 13), ylim=(-200, 400))
        right.set_xlabel("$R$ [kpc]")
        right.set_ylabel(r"$v_{\rm rot}$ [km s$^{-1}$]")
        figure.colorbar(mesh, ax=right, label="stars per bin")
        figure.suptitle(title, fontsize=8)
        return figure


def fig04(data: Columns, title: str) -> Figure:
    """Temperature against gravity, and [Mg/Fe] against [Fe/H], of APOGEE stars.

    Parameters
    ----------
    data
        Table ``figure_sky_bins``.
    title
        Name of the sample.
    """
    with mpl.rc_context(RC):
        figure = Figure(figsize=(TWO_COLUMNS_IN, 2.9), layout="constrained")
        left, right = figure.subplots(1, 2)
        _bins(left, data, "kiel")
        left.set(xlim=(8000, 3200), ylim=(5.5, -0.5))
        left.set_xlabel(r"$T_{\rm eff}$ [K]")
        left.set_ylabel(r"$\log_{10}(g/{\rm cm\,s^{-2}})$")
        mesh = _bins(right, data, "alpha")
        right.set(xlim=(-2.5, 0.7), ylim=(-0.2, 0.6))
        right.set_xlabel("[Fe/H] [dex]")
        right.set_ylabel("[Mg/Fe] [dex]")
        figure.colorbar(mesh, ax=right, label="stars per bin")
        figure.suptitle(title, fontsize=8)
        return figure


def fig05(data: Columns, title: str) -> Figure:
    """Errors of parallax, proper motion and radial velocity against magnitude.

    Parameters
    ----------
    data
        Table ``figure_sky_bins``.
    title
        Name of the sample.
    """
    labels = {
        "parallax_error": "parallax error [mas]",
        "pmra_error": r"$\mu_{\alpha*}$ error [mas yr$^{-1}$]",
        "radial_velocity_error": r"radial velocity error [km s$^{-1}$]",
    }
    with mpl.rc_context(RC):
        figure = Figure(figsize=(TWO_COLUMNS_IN, 2.5), layout="constrained")
        for axes, (name, label) in zip(figure.subplots(1, 3), labels.items(), strict=True):
            mesh = _bins(axes, data, name)
            low, high = axes.get_ylim()
            ticks = np.arange(np.ceil(low), np.floor(high) + 1)
            axes.set_yticks(ticks, [f"{10**t:g}" for t in ticks])
            axes.set_xlabel("$G$ [mag]")
            axes.set_ylabel(label)
        figure.colorbar(mesh, ax=axes, label="stars per bin")
        figure.suptitle(title, fontsize=8)
        return figure


def fig06(data: Columns, title: str) -> Figure:
    """XP spectra of APOGEE stars from hot to cool, calibrated by GaiaXPy.

    Parameters
    ----------
    data
        Table ``figure_sky_curves``.
    title
        Name of the sample.
    """
    with mpl.rc_context(RC):
        figure = Figure(figsize=(ONE_COLUMN_IN, 4.2), layout="constrained")
        axes = figure.subplots()
        panels = list(dict.fromkeys(data["panel"]))
        for number, panel in enumerate(reversed(panels)):
            mine = data["panel"] == panel
            x, y = data["x"][mine], data["y"][mine]
            visible = y / y[x > _BLUE_NOISE_NM].max()
            axes.plot(x, visible + number, lw=0.8, color=BLACK)
            # Where the spectrum is low.
            at_end = visible[-1] < 0.6
            place, side = (1010, "right") if at_end else (430, "left")
            axes.text(place, number + 0.82, panel, fontsize=6, ha=side)
        axes.set(xlim=(330, 1030), ylim=(0, len(panels) + 0.1))
        axes.set_yticks(range(len(panels) + 1), [""] * (len(panels) + 1))
        axes.set_xlabel("wavelength [nm]")
        axes.set_ylabel("flux density over its maximum, shifted")
        axes.set_title(title)
        return figure


def fig07(data: Columns, title: str) -> Figure:
    """Extinction per kpc in the plane, and at right angles to it through Sun and centre.

    Parameters
    ----------
    data
        Table ``figure_sky_bins``.
    title
        Name of the sample.
    """
    with mpl.rc_context(RC):
        figure = Figure(figsize=(TWO_COLUMNS_IN, 2.9), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.2))
        norm = LogNorm(0.02, 10)
        _bins(left, data, "plane", norm)
        left.plot(0, 0, "o", ms=2.5, color=BLACK)
        left.set(aspect="equal", xlabel="$x$ [kpc]", ylabel="$y$ [kpc]")
        mesh = _bins(right, data, "height", norm)
        right.set(xlabel="$x$ [kpc]", ylabel="$z$ [kpc]")
        figure.colorbar(mesh, ax=right, label=r"${\rm d}A_V/{\rm d}s$ [mag kpc$^{-1}$]")
        figure.suptitle(title, fontsize=8)
        return figure


def _bins(axes: Axes, data: Columns, panel: str, norm: Normalize | None = None) -> QuadMesh:
    """Draw the bins of a panel, by default with colours from 1 to the largest value."""
    mine = data["panel"] == panel
    if norm is None:
        norm = LogNorm(1, max(data["value"][mine].max(initial=1.0), 10.0))
    return draw_bins(axes, data, mine, "value", norm)
