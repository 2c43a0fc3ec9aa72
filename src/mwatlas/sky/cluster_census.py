"""What a cluster catalogue makes of the sky's clusters: Hunt & Reffert (2023, A&A 673, A114).

Some members are missed, some field stars are listed, and clusters that are too small or not
significant enough are missing altogether.
"""

from __future__ import annotations

from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import expit

from mwatlas.astrometry.frames import KMS_PER_MASYR_KPC, sky_basis
from mwatlas.astrometry.heliocentric import galactocentric_position, sky_motion
from mwatlas.astrometry.zero_point import parallax_zero_point
from mwatlas.config.sky_clusters import ClusterCensus
from mwatlas.random import keyed_normal, keyed_uniform
from mwatlas.sky.clusters import Clusters
from mwatlas.sky.galaxy import SKY_FRAME
from mwatlas.tables.clusters import CLUSTERS, MEMBERS
from mwatlas.tables.schemas import ZERO_POINT_INPUTS
from mwatlas.tables.table import Columns

Floats = NDArray[np.float64]

# Mean of log10(CST) against log10(N) of the 6806 published open clusters, and the largest CST.
_CST_SLOPE, _CST_OFFSET, _LARGEST_CST = 0.60, -0.145, 99.0
# A field star is taken for a member within this many standard errors of the cluster.
_NEAR_SIGMA = 3.0
# Beyond the errors, clusters are told apart no better than this, in mas and mas/yr.
_BLUR = {"parallax": 0.1, "pmra": 0.4, "pmdec": 0.4}
# Probabilities follow x**(n - 1) for members and (1 - x)**(n - 1) for field stars: means 5/6, 1/4.
_MEMBER_POWER, _FIELD_POWER = 5.0, 3.0


def near_clusters(clusters: Clusters, gaia: Columns) -> NDArray[np.int64]:
    """Cluster that a star could be mistaken for a member of, by place, distance and motion.

    Parameters
    ----------
    clusters
        The true clusters; those that are not listed are left out.
    gaia
        Columns of the Gaia source table.

    Returns
    -------
    int64, shape (N,)
        Number of the cluster, -1 for none. Where clusters overlap, the last one.
    """
    catalogue = clusters.catalogue
    near = np.full(len(gaia["ra"]), -1, dtype=np.int64)
    if near.size == 0:
        return near
    stars, _, _ = sky_basis(np.radians(gaia["ra"]), np.radians(gaia["dec"]))
    centres, _, _ = sky_basis(np.radians(catalogue["ra"]), np.radians(catalogue["dec"]))
    angle = 1e-3 * catalogue["tidal_radius_pc"] / catalogue["distance_kpc"]
    within = cKDTree(stars).query_ball_point(centres, 2 * np.sin(angle / 2))
    pmra, pmdec, _ = sky_motion(
        SKY_FRAME,
        catalogue["ra"],
        catalogue["dec"],
        catalogue["distance_kpc"],
        catalogue["velocity_kms"],
    )
    for cluster in np.flatnonzero(catalogue["listed"]):
        rows = np.array(within[cluster], dtype=np.int64)
        distance = catalogue["distance_kpc"][cluster]
        spread = catalogue["internal_dispersion_kms"][cluster] / (KMS_PER_MASYR_KPC * distance)
        alike = np.ones(rows.size, dtype=bool)
        for name, true, scatter in (
            ("parallax", 1 / distance, 0.0),
            ("pmra", pmra[cluster], spread),
            ("pmdec", pmdec[cluster], spread),
        ):
            error = np.hypot(np.hypot(gaia[f"{name}_error"][rows], scatter), _BLUR[name])
            alike &= np.abs(gaia[name][rows] - true) < _NEAR_SIGMA * error
        near[rows[alike]] = cluster
    return near


def observe_clusters(
    clusters: Clusters, truth: Columns, gaia: Columns, settings: ClusterCensus, seed: int
) -> tuple[Columns, Columns]:
    """List clusters and members as the catalogue does.

    Parameters
    ----------
    clusters
        The true clusters.
    truth
        ``cluster`` (-1 for field stars) and ``a_v_true`` of each star, row by row with ``gaia``.
    gaia
        Gaia columns of at least all cluster members and the stars of :func:`near_clusters`,
        with the inputs of the parallax zero point.
    settings
        Quality of the catalogue.
    seed
        Seed of the run. What happens to a star or cluster depends on its number alone.

    Returns
    -------
    clusters, members
        Rows of ``CLUSTERS`` and ``MEMBERS``.
    """
    listed, probability = _list_stars(clusters, truth["cluster"], gaia, settings, seed)
    zero_point = np.nan_to_num(parallax_zero_point(*(gaia[name] for name in ZERO_POINT_INPUTS)))
    rows: list[dict[str, Any]] = []
    # No rows, of the right types: all clusters may be too small.
    nothing = {name: values[:0] for name, values in gaia.items()}
    lists = [_member_rows({"name": "", "cluster": 0}, nothing, np.empty(0, bool), np.empty(0))]
    order = np.argsort(listed, kind="stable")
    edges = np.searchsorted(listed[order], np.arange(len(clusters.catalogue["cluster"]) + 1))
    for cluster in np.flatnonzero(clusters.catalogue["listed"]).tolist():
        mine = order[edges[cluster] : edges[cluster + 1]]
        true = {name: values[cluster] for name, values in clusters.catalogue.items()}
        noise = keyed_normal(seed, "sky/cluster census/cluster", cluster, np.arange(4))
        cst = _CST_OFFSET + _CST_SLOPE * np.log10(max(mine.size, 1))
        cst = min(10 ** (cst + settings.cst_scatter * noise[0]), _LARGEST_CST)
        if mine.size < settings.fewest_listed or cst < settings.lowest_cst:
            continue
        stars = {name: values[mine] for name, values in gaia.items()}
        a_v = np.nanmean(truth["a_v_true"][mine])
        row, inside = _measure(true, stars, stars["parallax"] - zero_point[mine])
        grade = settings.class_logit_mean + settings.class_logit_scatter * noise[1]
        log_age = 9 + np.log10(true["age_gyr"]) + settings.log_age_error * noise[2]
        extinction = max(a_v + settings.a_v_error * noise[3], 0.0)
        for sign, percentile in ((-1, 16), (0, 50), (1, 84)):
            row[f"CMDCl{percentile}"] = expit(grade + sign * settings.class_logit_error)
            row[f"logAge{percentile}"] = log_age + sign * settings.log_age_error
            row[f"AV{percentile}"] = max(extinction + sign * settings.a_v_error, 0.0)
        rows.append({**row, "CST": cst})
        lists.append(_member_rows(true, stars, inside, probability[mine]))
    return (
        {name: np.array([row[name] for row in rows]) for name in CLUSTERS.names},
        {name: np.concatenate([part[name] for part in lists]) for name in MEMBERS.names},
    )


def _list_stars(
    clusters: Clusters,
    cluster: NDArray[np.int64],
    gaia: Columns,
    settings: ClusterCensus,
    seed: int,
) -> tuple[NDArray[np.int64], Floats]:
    """Cluster each star is listed in, -1 for none, and its probability of membership."""
    source_id = gaia["source_id"]
    chance, rank = (
        keyed_uniform(seed, "sky/cluster census/star", source_id, draw) for draw in (0, 1)
    )
    number = len(clusters.catalogue["cluster"])
    known = (
        (cluster >= 0) & clusters.catalogue["listed"][cluster] & (chance < settings.completeness)
    )
    field = np.where(cluster < 0, near_clusters(clusters, gaia), -1)
    members = np.bincount(cluster[known], minlength=number)
    candidates = np.bincount(field[field >= 0], minlength=number)
    wanted = members * settings.contamination / (1 - settings.contamination)
    share = np.minimum(wanted / np.maximum(candidates, 1), 1.0)
    mistaken = (field >= 0) & (chance < share[field])
    listed = np.where(known, cluster, np.where(mistaken, field, -1))
    probability = np.where(known, rank ** (1 / _MEMBER_POWER), 1 - (1 - rank) ** (1 / _FIELD_POWER))
    return listed, probability


def _measure(
    true: dict[str, Any], stars: Columns, parallax: Floats
) -> tuple[dict[str, Any], NDArray[np.bool_]]:
    """Row of a cluster from its listed stars, and which of them lie within the tidal radius.

    Parameters
    ----------
    true
        Row of the true cluster.
    stars
        Gaia columns of the listed stars.
    parallax
        Their parallaxes with the zero point corrected, in mas.
    """
    weight = 1 / stars["parallax_error"].astype(float) ** 2
    mean = np.average(parallax, weights=weight)
    # From the scatter, because the depth of a near cluster exceeds the errors of its stars.
    error = np.linalg.norm(weight * (parallax - mean)) / weight.sum()
    distances = {f"dist{p}": 1000 / (mean - s * error) for s, p in ((-1, 16), (0, 50), (1, 84))}
    distance = distances["dist50"]
    sight, _, _ = sky_basis(np.radians(stars["ra"]), np.radians(stars["dec"]))
    centre = sight.mean(axis=0)
    centre /= np.linalg.norm(centre)
    place = SkyCoord(*centre, representation_type="cartesian").represent_as("unitspherical")
    ra, dec = place.lon.deg, place.lat.deg
    galactic = SkyCoord(ra * u.deg, dec * u.deg).galactic
    separation = np.degrees(2 * np.arcsin(np.linalg.norm(sight - centre, axis=1) / 2))
    half, tidal = np.median(separation), np.degrees(true["tidal_radius_pc"] / distance)
    inside = separation < tidal
    position = galactocentric_position(SKY_FRAME, [ra], [dec], [distance / 1000])[0] * 1000
    velocity = stars["radial_velocity"][np.isfinite(stars["radial_velocity"])]
    return {
        "Name": true["name"],
        "ID": true["cluster"] + 1,
        "Type": "o",
        "N": inside.size,
        "Nt": int(inside.sum()),
        "RA_ICRS": ra,
        "DE_ICRS": dec,
        "GLON": galactic.l.deg,
        "GLAT": galactic.b.deg,
        "r50": half,
        "rt": tidal,
        "r50pc": np.radians(half) * distance,
        "rtpc": np.radians(tidal) * distance,
        **_summary("pmRA", stars["pmra"]),
        **_summary("pmDE", stars["pmdec"]),
        **_summary("Plx", stars["parallax"]),
        **distances,
        **dict(zip("XYZ", position, strict=True)),
        **_summary("RV", velocity),
        "n_RV": velocity.size,
    }, inside


def _summary(name: str, values: Floats) -> dict[str, float]:
    """Mean, standard deviation and error of the mean; NaN without values."""
    if values.size == 0:
        return {name: np.nan, f"s_{name}": np.nan, f"e_{name}": np.nan}
    spread = float(values.std())
    return {name: values.mean(), f"s_{name}": spread, f"e_{name}": spread / np.sqrt(values.size)}


def _member_rows(
    true: dict[str, Any], stars: Columns, inside: NDArray[np.bool_], probability: Floats
) -> Columns:
    return {
        "Name": np.full(inside.size, true["name"], dtype=object),
        "ID": np.full(inside.size, true["cluster"] + 1),
        "GaiaDR3": stars["source_id"],
        "inrt": inside.astype(np.int8),
        "Prob": probability,
        "RA_ICRS": stars["ra"],
        "DE_ICRS": stars["dec"],
        "pmRA": stars["pmra"],
        "e_pmRA": stars["pmra_error"],
        "pmDE": stars["pmdec"],
        "e_pmDE": stars["pmdec_error"],
        "Plx": stars["parallax"],
        "e_Plx": stars["parallax_error"],
        "Gmag": stars["phot_g_mean_mag"],
        "BP-RP": stars["bp_rp"],
        "RV": stars["radial_velocity"],
        "e_RV": stars["radial_velocity_error"],
    }
