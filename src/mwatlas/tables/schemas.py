"""The tables of the workflow, each a list of columns from the registry."""

from __future__ import annotations

from dataclasses import replace

from mwatlas.tables.clusters import CLUSTERS, MEMBERS
from mwatlas.tables.columns import COLUMNS, VLOS_QUANTILES
from mwatlas.tables.external import EXTERNAL
from mwatlas.tables.gaia import GAIA_TRUTH
from mwatlas.tables.pulsars import PSRCAT, PULSAR_ACCELERATIONS
from mwatlas.tables.sky_surveys import SURVEY_TRUTH, SURVEYS
from mwatlas.tables.table import TableSchema
from mwatlas.tables.xp import XP_CONTINUOUS_MEAN_SPECTRUM, XP_TRUTH


def _table(name: str, description: str, columns: str, key: str = "source_id") -> TableSchema:
    return TableSchema(name, description, tuple(COLUMNS[c] for c in columns.split()), key)


GAIA_SOURCE = _table(
    "gaia_source",
    "Rows of the Gaia source table that the studies use, in the archive's own columns",
    "source_id ra dec l b ecl_lat parallax parallax_error pmra pmra_error pmdec pmdec_error "
    "astrometric_params_solved nu_eff_used_in_astrometry pseudocolour ruwe phot_g_mean_mag "
    "bp_rp radial_velocity radial_velocity_error dr2_radial_velocity dr2_radial_velocity_error",
)

GAIA_SOURCE_OF_FILES = replace(
    GAIA_SOURCE, columns=(*GAIA_SOURCE.columns, COLUMNS["parallax_zero_point"])
)
"""`GAIA_SOURCE`, and the zero point of the parallax where a release has a column of it."""

ZERO_POINT_INPUTS = (
    "phot_g_mean_mag",
    "nu_eff_used_in_astrometry",
    "pseudocolour",
    "ecl_lat",
    "astrometric_params_solved",
)
"""Columns the parallax zero point depends on, in the order of the recipe."""

STARS = _table(
    "stars",
    "Stars with five-parameter astrometry and corrected parallax, under standard names",
    "source_id ra dec l b parallax parallax_error parallax_zero_point parallax_corr "
    "pmra pmra_error pmdec pmdec_error ruwe phot_g_mean_mag radial_velocity "
    "radial_velocity_error",
)

_SURVEY_ROWS = _table(
    "survey_rows",
    "Rows of a spectroscopic survey under standard names; source_id is 0 where the survey names no "
    "Gaia source",
    "source_id ra dec position_epoch fe_h mg_fe survey_radial_velocity "
    "survey_radial_velocity_error snr",
    key="",
)
SURVEY_ROWS = replace(
    _SURVEY_ROWS,
    columns=tuple(
        replace(c, nullable=True) if c.name in ("ra", "dec", "position_epoch") else c
        for c in _SURVEY_ROWS.columns
    ),
)

SURVEY_MATCHES = _table(
    "survey_matches",
    "Stars that a spectroscopic survey observed, a row for each star and survey, in that order",
    "source_id survey fe_h mg_fe survey_radial_velocity survey_radial_velocity_error "
    "separation_arcsec matched_by",
    key="",
)

LINE_OF_SIGHT_SAMPLE = _table(
    "line_of_sight_sample",
    "Stars that pass the base cut (Table 1, row 0); fold is -1 without a radial velocity",
    "source_id ra dec l b parallax_corr pmra pmdec phot_g_mean_mag radial_velocity "
    "radial_velocity_error fold",
)

LINE_OF_SIGHT_PREDICTIONS = _table(
    "line_of_sight_predictions",
    "Predicted line-of-sight velocities; out of fold for stars with a radial velocity. Columns of "
    "the mixture are absent where it is a single normal distribution",
    "source_id vlos_pred sigma_los vlos_network_spread mixture_weights mixture_means "
    "mixture_sigmas",
)

LINE_OF_SIGHT_ORBITS = _table(
    "line_of_sight_orbits",
    "Orbital eccentricities with the measured and the predicted velocity, and what the draws say",
    "source_id eccentricity_rv orbit_flag_rv eccentricity_pred p_high_eccentricity orbit_flag",
)

LINE_OF_SIGHT_TRUTH = _table(
    "line_of_sight_truth",
    "What the embedded sky knows about the stars of the sample",
    "source_id component eccentricity_true optimal_mean optimal_sigma",
)

RV_CATALOGUE = _table(
    "rv_catalogue",
    "Published catalogue: stars with a measured radial velocity that trained and tested the "
    "network",
    "source_id ra dec phot_g_mean_mag radial_velocity radial_velocity_error eccentricity_rv "
    "orbit_flag_rv",
)

LINE_OF_SIGHT_CATALOGUE = _table(
    "line_of_sight_catalogue",
    "Published catalogue: predicted line-of-sight velocity of each star and what follows from it",
    "source_id ra dec phot_g_mean_mag vlos_pred sigma_los vlos_network_spread eccentricity_pred "
    "p_high_eccentricity orbit_flag",
)

DENSITY_CATALOGUE = _table(
    "density_catalogue",
    "Published catalogue: predicted density of the line-of-sight velocity of each star, by its "
    "quantiles and as a mixture of normal distributions, and what follows from it",
    f"{' '.join(LINE_OF_SIGHT_CATALOGUE.names)} "
    f"{' '.join(f'vlos_p{level:02d}' for level in VLOS_QUANTILES)} "
    "mixture_weights mixture_means mixture_sigmas",
)

GSE_CANDIDATES = _table(
    "gse_candidates",
    "Error draws with an eccentricity above the study's limit: Gaia-Sausage-Enceladus candidates; "
    "fold is -1 for stars without a measured velocity",
    "source_id draw ra dec phot_g_mean_mag fold vlos_draw eccentricity z_max energy l_z j_r j_z "
    "orbit_flag v_r v_theta v_phi",
    key="",
)

_SKY_TRUTH = _table(
    "sky_truth",
    "What the embedded sky knows about each of its sources, and about the flaws of its row in "
    "gaia_source",
    "source_id ra dec component cluster_true distance_kpc_true pmra_true pmdec_true "
    "radial_velocity_true fe_h_true alpha_m_true age_gyr_true mass_true teff_true logg_true "
    "a_v_true phot_g_mean_mag_true phot_bp_mean_mag_true phot_rp_mean_mag_true j_m_true h_m_true "
    "ks_m_true w1_true w2_true",
)
SKY_TRUTH = replace(_SKY_TRUTH, columns=(*_SKY_TRUTH.columns, *GAIA_TRUTH))

TRAINING_HISTORY = _table(
    "training_history",
    "Losses of each epoch of one cross-validation round",
    "stage epoch training_loss validation_loss learning_rate",
    key="",
)

FIGURE_VELOCITIES = _table(
    "figure_velocities",
    "Data of Figure 1, velocities in km/s: bins of predicted (x) against true (y), and boxes of "
    "the predicted uncertainty in bins of predicted velocity",
    "panel kind x_low x_high y_low y_high count p05 p25 p50 p75 p95",
    key="",
)

FIGURE_PULL = _table(
    "figure_pull",
    "Data of Figure 2: residual over predicted uncertainty, and two normal fits; share is the area "
    "of a fitted curve over that of the bars",
    "kind x_low x_high count mean sigma share",
    key="",
)

FIGURE_ECCENTRICITIES = _table(
    "figure_eccentricities",
    "Data of Figure 3: bins of predicted (x) against true (y) eccentricity, shares of quadrants",
    "kind x_low x_high y_low y_high count share",
    key="",
)

FIGURE_PLANES = _table(
    "figure_planes",
    "Data of Figures 4 to 8, 10 and 11. heat: a filled bin; range: a whole plane, its bins and all "
    "its entries; ellipse: mean and covariance of positions; box: a region; sun: where the Sun is "
    "(means); limit: the eccentricity of the selection, and share: another number (both in share). "
    "Counts are averaged over error draws",
    "panel sample kind x_low x_high y_low y_high count x_mean y_mean xx xy yy share",
    key="",
)

FIGURE_HISTOGRAMS = _table(
    "figure_histograms",
    "Data of Figure 9: bars of each error draw, and normal fits averaged over draws; share is the "
    "area of a fitted curve over that of the bars",
    "panel sample kind draw x_low x_high count mean sigma share",
    key="",
)

FIGURE_CALIBRATION = _table(
    "figure_calibration",
    "Data of Figure 12, for each predictor. reliability: share of stars (y) inside the central "
    "interval of a nominal probability (x), with its error band; pit: density (y) of the "
    "probability integral transform at bin centres (x)",
    "sample kind x y y_low y_high",
    key="",
)

FIGURE_RECOVERY = _table(
    "figure_recovery",
    "Data of Figure 13, for each catalogue (panel) and predictor (sample): completeness, purity "
    "and recovered number (y, with its error band) against the limit in eccentricity (x)",
    "panel sample kind x y y_low y_high",
    key="",
)

FIGURE_SKY_BINS = _table(
    "figure_sky_bins",
    "Data of a figure of the embedded sky: counts or values in bins",
    "panel x_low x_high y_low y_high value",
    key="",
)

FIGURE_SKY_MAP = _table(
    "figure_sky_map",
    "Data of a figure of the embedded sky: values in HEALPix pixels (ring, Galactic)",
    "panel pixel value",
    key="",
)

FIGURE_SKY_CURVES = _table(
    "figure_sky_curves",
    "Data of a figure of the embedded sky: curves, one for each panel label",
    "panel x y",
    key="",
)

TABLE_COUNTS = _table(
    "table_counts",
    "Data of Table 1: number of stars in each catalogue after each cut",
    "sample row number scatter",
    key="",
)

LEDGER = _table(
    "ledger",
    "Every number of every study beside the paper's and the truth",
    "study item quantity meaning unit value error published published_error published_where truth "
    "truth_error tolerance verdict reason rows",
    key="",
)

TABLES: dict[str, TableSchema] = {
    table.name: table
    for table in (
        GAIA_SOURCE,
        STARS,
        SURVEY_ROWS,
        SURVEY_MATCHES,
        LINE_OF_SIGHT_SAMPLE,
        LINE_OF_SIGHT_PREDICTIONS,
        LINE_OF_SIGHT_ORBITS,
        LINE_OF_SIGHT_TRUTH,
        RV_CATALOGUE,
        LINE_OF_SIGHT_CATALOGUE,
        DENSITY_CATALOGUE,
        GSE_CANDIDATES,
        SKY_TRUTH,
        SURVEY_TRUTH,
        XP_TRUTH,
        *SURVEYS.values(),
        XP_CONTINUOUS_MEAN_SPECTRUM,
        CLUSTERS,
        MEMBERS,
        PSRCAT,
        PULSAR_ACCELERATIONS,
        *EXTERNAL.values(),
        TRAINING_HISTORY,
        FIGURE_VELOCITIES,
        FIGURE_PULL,
        FIGURE_ECCENTRICITIES,
        FIGURE_PLANES,
        FIGURE_HISTOGRAMS,
        FIGURE_CALIBRATION,
        FIGURE_RECOVERY,
        FIGURE_SKY_BINS,
        FIGURE_SKY_MAP,
        FIGURE_SKY_CURVES,
        TABLE_COUNTS,
        LEDGER,
    )
}
