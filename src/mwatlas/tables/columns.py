"""The column registry: one entry per column, from which everything else derives.

Type checks, units, UCDs, range checks, Parquet metadata and the data dictionary all read
this module. Archive columns keep the archive's names, types and units (Gaia DR3
documentation, chapter 20); UCDs follow UCD1+ (IVOA 1.5).
"""

from __future__ import annotations

from mwatlas.tables.column import Column
from mwatlas.tables.gaia import GAIA_COLUMNS, GAIA_TRUTH

VLOS_QUANTILES = (5, 16, 50, 84, 95)
"""Quantiles of the predicted velocity in catalogues of full densities, in per cent."""

_COLUMNS = [
    *GAIA_COLUMNS,
    # Clean catalogue
    Column(
        "parallax_zero_point",
        "float32",
        "mas",
        "pos.parallax.trig;arith.diff",
        "Zero point of Lindegren et al. (2021); subtracted to give parallax_corr",
        -1,
        1,
        nullable=True,
    ),
    Column(
        "parallax_corr",
        "float64",
        "mas",
        "pos.parallax.trig",
        "Parallax with the zero point removed where the release allows it",
        -1000,
        1000,
        nullable=True,
    ),
    # Line-of-sight study
    Column(
        "fold",
        "int8",
        "",
        "meta.number",
        "Cross-validation subset of a star with a radial velocity; -1 without one",
        -1,
        99,
    ),
    Column(
        "vlos_pred",
        "float32",
        "km/s",
        "spect.dopplerVeloc.opt;meta.modelled",
        "Line-of-sight velocity predicted from sky position, parallax and proper motions",
        -2000,
        2000,
    ),
    Column(
        "sigma_los",
        "float32",
        "km/s",
        "stat.error;spect.dopplerVeloc.opt;meta.modelled",
        "Predicted standard deviation of the line-of-sight velocity about vlos_pred",
        0,
        2000,
    ),
    Column(
        "vlos_network_spread",
        "float32",
        "km/s",
        "stat.stdev;spect.dopplerVeloc.opt;meta.modelled",
        "Standard deviation of vlos_pred among the networks of the cross-validation rounds",
        0,
        2000,
    ),
    Column(
        "eccentricity_rv",
        "float32",
        "",
        "src.orbital.eccentricity",
        "Orbital eccentricity with the measured radial velocity",
        0,
        1,
        nullable=True,
    ),
    Column(
        "eccentricity_true",
        "float32",
        "",
        "src.orbital.eccentricity",
        "Orbital eccentricity of the true position and velocity on the embedded sky",
        0,
        1,
    ),
    *(
        Column(
            name,
            "float64",
            "km/s",
            ucd,
            f"{what} of the best possible normal prediction; missing where it was not computed",
            nullable=True,
        )
        for name, ucd, what in (
            ("optimal_mean", "spect.dopplerVeloc;stat.mean", "Mean"),
            ("optimal_sigma", "spect.dopplerVeloc;stat.stdev", "Standard deviation"),
        )
    ),
    Column(
        "eccentricity_pred",
        "float32",
        "",
        "src.orbital.eccentricity;meta.modelled",
        "Orbital eccentricity with vlos_pred",
        0,
        1,
    ),
    Column(
        "p_high_eccentricity",
        "float32",
        "",
        "stat.probability",
        "Share of the error draws whose eccentricity exceeds the study's limit",
        0,
        1,
    ),
    Column(
        "orbit_flag",
        "int8",
        "",
        "meta.code",
        "The worst of the star's orbits: 0 resolved; 1 the apocentre lies beyond the integration, "
        "so the eccentricity is a lower limit; 2 unbound, eccentricity set to 1",
        0,
        2,
    ),
    Column("draw", "int8", "", "meta.number", "Number of the error draw, from 0", 0, 99),
    Column(
        "vlos_draw",
        "float32",
        "km/s",
        "spect.dopplerVeloc.opt;meta.modelled",
        "Line-of-sight velocity drawn from the predicted distribution",
        -5000,
        5000,
    ),
    Column(
        "eccentricity",
        "float32",
        "",
        "src.orbital.eccentricity",
        "Orbital eccentricity, (r_apo - r_peri) / (r_apo + r_peri)",
        0,
        1,
    ),
    Column(
        "z_max",
        "float32",
        "kpc",
        "pos.distance;pos.galactocentric;stat.max",
        "Largest distance of the orbit from the Galactic plane",
        0,
    ),
    Column(
        "energy",
        "float64",
        "km2/s2",
        "phys.energy",
        "Energy per mass in MWPotential2014, zero at infinity",
    ),
    Column(
        "l_z",
        "float64",
        "kpc km/s",
        "phys.angMomentum",
        "Angular momentum about the Galactic z axis; about -1800 for disc stars near the Sun",
    ),
    *(
        Column(
            name,
            "float64",
            "kpc km/s",
            "phys.angMomentum",
            f"{what} action in MWPotential2014, by a Staeckel approximation; 0 for unbound orbits",
            0,
        )
        for name, what in (("j_r", "Radial"), ("j_z", "Vertical"))
    ),
    *(
        Column(
            f"vlos_p{level:02d}",
            "float32",
            "km/s",
            "spect.dopplerVeloc.opt;meta.modelled",
            f"{level} per cent quantile of the predicted line-of-sight velocity",
            -5000,
            5000,
        )
        for level in VLOS_QUANTILES
    ),
    Column(
        "v_r",
        "float32",
        "km/s",
        "phys.veloc;pos.galactocentric",
        "Galactocentric spherical velocity, outward",
        -5000,
        5000,
    ),
    Column(
        "v_theta",
        "float32",
        "km/s",
        "phys.veloc;pos.galactocentric",
        "Galactocentric spherical velocity in polar angle, positive southward",
        -5000,
        5000,
    ),
    Column(
        "v_phi",
        "float32",
        "km/s",
        "phys.veloc;pos.galactocentric",
        "Galactocentric spherical velocity in azimuth; about -220 km/s for disc stars",
        -5000,
        5000,
    ),
    # Truth of the embedded sky
    Column(
        "component",
        "int8",
        "",
        "meta.code.class",
        "Component the star was drawn from: 0 thin disc, 1 thick disc, 2 halo, 3 GSE, 4 bulge, "
        "5 cluster, 6 stars of the barred sky",
        0,
        6,
    ),
    Column("cluster_true", "int32", "", "meta.id", "Cluster the star belongs to, or -1", -1),
    Column("distance_kpc_true", "float64", "kpc", "pos.distance", "True heliocentric distance", 0),
    Column("pmra_true", "float64", "mas/yr", "pos.pm;pos.eq.ra", "True pmra"),
    Column("pmdec_true", "float64", "mas/yr", "pos.pm;pos.eq.dec", "True pmdec"),
    Column(
        "radial_velocity_true",
        "float64",
        "km/s",
        "spect.dopplerVeloc",
        "True radial velocity",
    ),
    Column("fe_h_true", "float64", "dex", "phys.abund.Fe", "True [Fe/H]"),
    Column("alpha_m_true", "float64", "dex", "phys.abund", "True [alpha/M]"),
    Column("age_gyr_true", "float64", "Gyr", "time.age", "True age", 0),
    Column("mass_true", "float64", "Msun", "phys.mass", "True present mass", 0),
    Column("teff_true", "float64", "K", "phys.temperature.effective", "True temperature", 0),
    Column("logg_true", "float64", "dex", "phys.gravity", "True log10 of surface gravity in cm/s2"),
    Column("a_v_true", "float64", "mag", "phys.absorption", "True extinction in V", 0),
    Column("phot_g_mean_mag_true", "float64", "mag", "phot.mag;em.opt", "True magnitude in G"),
    *(
        Column(f"{name}_true", "float64", "mag", f"phot.mag;{ucd}", f"True magnitude in {band}")
        for name, ucd, band in (
            ("phot_bp_mean_mag", "em.opt.B", "BP"),
            ("phot_rp_mean_mag", "em.opt.R", "RP"),
            ("j_m", "em.IR.J", "J"),
            ("h_m", "em.IR.H", "H"),
            ("ks_m", "em.IR.K", "Ks"),
            ("w1", "em.IR.3-4um", "W1"),
            ("w2", "em.IR.4-8um", "W2"),
        )
    ),
    *GAIA_TRUTH,
    # Data behind figures and tables
    Column("panel", "string", "", "meta.id", "Panel of the figure"),
    Column("kind", "string", "", "meta.id", "What the row describes: a bin, a box, a fit"),
    Column(
        "x_low",
        "float64",
        "",
        "stat.value;stat.min",
        "Lower edge on the horizontal axis",
        nullable=True,
    ),
    Column(
        "x_high",
        "float64",
        "",
        "stat.value;stat.max",
        "Upper edge on the horizontal axis",
        nullable=True,
    ),
    Column(
        "y_low",
        "float64",
        "",
        "stat.value;stat.min",
        "Lower edge on the vertical axis",
        nullable=True,
    ),
    Column(
        "y_high",
        "float64",
        "",
        "stat.value;stat.max",
        "Upper edge on the vertical axis",
        nullable=True,
    ),
    Column("pixel", "int64", "", "pos.healpix", "HEALPix pixel", 0),
    Column("x", "float64", "", "stat.value", "Horizontal axis"),
    Column("y", "float64", "", "stat.value", "Vertical axis"),
    Column("count", "float64", "", "meta.number", "Entries in the bin", 0, nullable=True),
    Column("p05", "float64", "", "stat.value", "5th percentile", nullable=True),
    Column("p25", "float64", "", "stat.value", "25th percentile", nullable=True),
    Column("p50", "float64", "", "stat.value;stat.median", "Median", nullable=True),
    Column("p75", "float64", "", "stat.value", "75th percentile", nullable=True),
    Column("p95", "float64", "", "stat.value", "95th percentile", nullable=True),
    Column(
        "mean",
        "float64",
        "",
        "stat.value;stat.mean",
        "Mean of the fitted normal curve",
        nullable=True,
    ),
    Column("sigma", "float64", "", "stat.stdev", "Width of the fitted normal curve", nullable=True),
    Column("share", "float64", "", "stat.value", "Share of the entries, or a limit", nullable=True),
    Column("sample", "string", "", "meta.id", "Catalogue: rv, test_set or ml_rv"),
    Column("row", "string", "", "meta.id", "Row of the table"),
    Column("number", "float64", "", "meta.number", "Number of stars, averaged over draws", 0),
    Column("scatter", "float64", "", "stat.stdev", "Its standard deviation among draws", 0),
    # Ledger
    Column("study", "string", "", "meta.id", "Study"),
    Column("item", "string", "", "meta.id", "Figure, table or section"),
    Column("quantity", "string", "", "meta.id;meta.main", "What the number is"),
    Column("meaning", "string", "", "meta.note", "The same as a sentence"),
    Column("unit", "string", "", "meta.unit", "Its unit"),
    Column("value", "float64", "", "stat.value", "Our value", nullable=True),
    Column("error", "float64", "", "stat.error", "Its error", nullable=True),
    Column("published", "float64", "", "stat.value", "Published value", nullable=True),
    Column("published_error", "float64", "", "stat.error", "Its error", nullable=True),
    Column("published_where", "string", "", "meta.bib", "Where the paper says so"),
    Column("truth", "float64", "", "stat.value", "Truth on the embedded sky", nullable=True),
    Column("truth_error", "float64", "", "stat.error", "Error of that truth", nullable=True),
    Column(
        "tolerance",
        "float64",
        "",
        "stat.value;stat.max",
        "Largest difference allowed",
        nullable=True,
    ),
    Column("verdict", "string", "", "meta.code", "agrees, differs, not recovered, not comparable"),
    Column("reason", "string", "", "meta.note", "Why"),
    Column("rows", "int64", "", "meta.number", "Number of stars behind the value", 0),
    # Training history
    Column("stage", "string", "", "meta.id", "Training stage: mean, sigma or both"),
    Column("epoch", "int64", "", "meta.number", "Epoch within the stage, from 0", 0),
    Column("training_loss", "float64", "", "stat.likelihood", "Mean loss over the training subset"),
    Column(
        "validation_loss", "float64", "", "stat.likelihood", "Mean loss over the validation subset"
    ),
    Column("learning_rate", "float64", "", "meta.number", "Learning rate of the epoch", 0),
]

COLUMNS: dict[str, Column] = {column.name: column for column in _COLUMNS}
