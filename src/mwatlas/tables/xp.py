"""Gaia DR3's table of BP and RP spectra as basis coefficients, in the archive's own columns.

Names, order, types and units are those of `gaiadr3.xp_continuous_mean_spectrum` (Gaia DR3
documentation, section 20.12.3). Either prism may be missing; its arrays are then NaN throughout.
"""

from __future__ import annotations

from mwatlas.tables.column import Column, DType
from mwatlas.tables.columns import COLUMNS
from mwatlas.tables.table import TableSchema

N_COEFFICIENTS = 55
N_CORRELATIONS = N_COEFFICIENTS * (N_COEFFICIENTS - 1) // 2

_FLUX_UNIT = "electron.s**-1.pixel**-1"


def _prism_columns(prism: str) -> tuple[Column, ...]:
    name = prism.upper()

    def column(
        suffix: str,
        dtype: DType,
        ucd: str,
        description: str,
        *,
        unit: str = "",
        low: float | None = 0,
        high: float | None = None,
        length: int = 1,
    ) -> Column:
        return Column(
            f"{prism}_{suffix}",
            dtype,
            unit,
            ucd,
            f"{description} of the {name} spectrum",
            low,
            high,
            nullable=True,
            length=length,
        )

    return (
        column("basis_function_id", "int16", "meta.id", "Identifier of the set of bases"),
        column("degrees_of_freedom", "int16", "stat.fit.dof", "Degrees of freedom of the fit"),
        column("n_parameters", "int8", "stat.fit.param", "Number of coefficients"),
        column("n_measurements", "int16", "meta.number", "Number of samples used in the fit"),
        column(
            "n_rejected_measurements", "int16", "meta.number", "Number of samples the fit rejected"
        ),
        column(
            "standard_deviation",
            "float32",
            "stat.stdev",
            "Standard deviation of the normalised residuals; coefficient_errors contain it",
        ),
        column("chi_squared", "float32", "stat.fit.chi2", "Chi squared of the fit"),
        column(
            "coefficients",
            "float64",
            "stat.fit.param",
            "Coefficients of the bases",
            unit=_FLUX_UNIT,
            low=None,
            length=N_COEFFICIENTS,
        ),
        column(
            "coefficient_errors",
            "float32",
            "stat.error",
            "Standard errors of the coefficients",
            unit=_FLUX_UNIT,
            length=N_COEFFICIENTS,
        ),
        column(
            "coefficient_correlations",
            "float32",
            "stat.correlation",
            "Correlations of the coefficients, rows of the triangle below the diagonal,",
            low=-1,
            high=1,
            length=N_CORRELATIONS,
        ),
        column(
            "n_relevant_bases",
            "int16",
            "meta.number",
            "Number of leading coefficients that are not mere noise",
        ),
        column(
            "relative_shrinking",
            "float32",
            "meta.number",
            "Norm of those coefficients over the norm of all",
            high=1,
        ),
    )


XP_CONTINUOUS_MEAN_SPECTRUM = TableSchema(
    "xp_continuous_mean_spectrum",
    "Mean BP and RP spectra as coefficients of basis functions",
    (
        COLUMNS["source_id"],
        Column("solution_id", "int64", "", "meta.version", "Version of the data processing", 0),
        *_prism_columns("bp"),
        *_prism_columns("rp"),
    ),
)

XP_TRUTH = TableSchema(
    "xp_truth",
    "What the embedded sky knows about its BP and RP spectra",
    (
        COLUMNS["source_id"],
        Column("xp_outlier_true", "bool", "", "meta.code", "Whether the spectrum is peculiar"),
    ),
)
