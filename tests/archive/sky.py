"""Tables of a small embedded sky, as the archives would serve them.

Stars lie in a few patches, so that a fetch meets chunks without any.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import healpy
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mwatlas.config import load_settings
from mwatlas.config.release import ReleaseAdapter
from mwatlas.config.sky import SkySource
from mwatlas.healpix import cell_of_source
from mwatlas.sky.fidelity import fidelity
from mwatlas.sky.gaia import observe_gaia
from mwatlas.sky.infrared import observe_infrared
from mwatlas.tables.clusters import CLUSTERS, MEMBERS
from mwatlas.tables.columns import COLUMNS
from mwatlas.tables.external import ALLWISE_MATCH, DISTANCES, EXTINCTION
from mwatlas.tables.fidelity import FIDELITY
from mwatlas.tables.gaia import GAIA_SOURCE_FULL
from mwatlas.tables.infrared import (
    PIXEL,
    TMASS_BEST_NEIGHBOUR,
    TMASS_JOIN,
    TMASS_ORIGINAL_VALID,
    UNWISE,
)
from mwatlas.tables.metadata import arrow_schema
from mwatlas.tables.parquet import to_arrow
from mwatlas.tables.table import Columns, TableSchema
from tests.unit.sky_truth import random_truth

_ORDER, _PATCHES = 2, (0, 61, 62, 130)
_DRAWN = 40_000
_SEED = 11
_NEIGHBOURS = ("source_id", "angular_distance", "number_of_neighbours", "number_of_mates")
# The service tells the pixel of a source, which the survey's own files do not.
_OBJECTS = replace(UNWISE, columns=(PIXEL, *UNWISE.columns))


@dataclass(frozen=True)
class Loaded:
    """A table of the server.

    Parameters
    ----------
    contract
        Its columns.
    rows
        Its values, missing ones as nulls.
    """

    contract: TableSchema
    rows: pa.Table

    @classmethod
    def of(cls, contract: TableSchema, columns: Columns) -> Loaded:
        data = {name: columns[name] for name in contract.names}
        return cls(contract, to_arrow(contract, contract.conform(data, contract.name)))

    def only(self, *names: str) -> Loaded:
        """Some of its columns."""
        columns = tuple(c for c in self.contract.columns if c.name in names)
        key = self.contract.key if self.contract.key in names else ""
        contract = replace(self.contract, columns=columns, key=key)
        return Loaded(contract, self.rows.select(contract.names))


def served_tables(root: Path) -> dict[str, Loaded]:
    """Every table that a query of the project names, by the archives' names of them."""
    rng = np.random.default_rng(_SEED)
    truth = random_truth(_DRAWN, _SEED)
    near = np.isin(cell_of_source(truth["source_id"], _ORDER), _PATCHES)
    truth = {name: values[near] for name, values in truth.items()}
    source_id = truth["source_id"]

    releases, flaws = {}, {}
    for release, adapter in (("gaiadr3", "sky"), ("gaiaedr3", "sky_edr3")):
        measured, flaws = observe_gaia(truth, _source(root, adapter).gaia, rng)
        releases[release] = Loaded.of(GAIA_SOURCE_FULL[release], measured)
    source = _source(root, "sky")
    infrared, _ = observe_infrared(truth, measured, source.infrared, _SEED, _PATCHES[0], _ORDER)
    best = Loaded.of(TMASS_BEST_NEIGHBOUR, infrared[TMASS_BEST_NEIGHBOUR.name])
    join = Loaded.of(TMASS_JOIN, infrared[TMASS_JOIN.name])
    unwise = infrared[UNWISE.name]
    # The sky has no object twice; a coadd that is not the primary one would list some again.
    unwise["primary"] = (rng.random(unwise["ra"].size) < 0.9).astype(np.int16)

    # The table has no others.
    solved = np.isfinite(measured["parallax"])
    density = rng.uniform(1, 50, solved.sum())
    gaia = (measured[n][solved] for n in ("ruwe", "parallax_over_error", "phot_g_mean_mag"))
    spurious = flaws["spurious_true"][solved]
    known = fidelity(source_id[solved], spurious, *gaia, density, source.fidelity, _SEED)
    reliable = Loaded.of(FIDELITY, known)
    allwise = _random(ALLWISE_MATCH, source_id, rng)
    unwise[PIXEL.name] = healpy.ang2pix(2**12, unwise["ra"], unwise["dec"], nest=True, lonlat=True)
    return {
        "gaiadr3.gaia_source": releases["gaiadr3"],
        "gaiadr3.tmass_psc_xsc_best_neighbour": best,
        "gaiadr3.tmass_psc_xsc_join": join,
        "gaiaedr3.gaia_source": releases["gaiaedr3"],
        "gaiaedr3.tmass_psc_xsc_best_neighbour": best,
        "gaiaedr3.tmass_psc_xsc_join": join,
        "gaiaedr3.allwise_best_neighbour": allwise.only(*_NEIGHBOURS, "allwise_oid"),
        "gaiadr1.tmass_original_valid": Loaded.of(
            TMASS_ORIGINAL_VALID, infrared[TMASS_ORIGINAL_VALID.name]
        ),
        "gaiadr1.allwise_original_valid": allwise.only(
            *(name for name in ALLWISE_MATCH.names if name not in _NEIGHBOURS)
        ),
        "gaiadr4.gaia_source": _next_release(releases["gaiadr3"], rng),
        "changed.gaia_source": _changed(releases["gaiadr3"]),
        "external.gaiaedr3_distance": _random(DISTANCES, source_id, rng),
        "external.gaiaedr3_spurious": reliable,
        "xpparams2.main": _random(EXTINCTION, source_id, rng),
        "gedr3spur.main": reliable,
        "gaia.dr3lite": releases["gaiadr3"].only("source_id", "parallax", "phot_g_mean_mag"),
        "unwise_dr1.object": Loaded.of(_OBJECTS, unwise),
        "vizier.clusters": _random(CLUSTERS, source_id[:300], rng),
        "vizier.members": _random(MEMBERS, source_id[:600], rng),
    }


def _next_release(table: Loaded, rng: np.random.Generator) -> Loaded:
    """The table as drafts say of DR4: with the zero point, without the codes of solutions."""
    bias = replace(COLUMNS["parallax_zero_point"], name="tentative_parallax_bias")
    kept = table.only(*(n for n in table.contract.names if n != "astrometric_params_solved"))
    contract = replace(kept.contract, columns=(*kept.contract.columns, bias))
    values = rng.uniform(-0.1, 0, kept.rows.num_rows).astype(np.float32)
    missing = pc.is_null(kept.rows["parallax"]).to_numpy()
    return Loaded(contract, kept.rows.append_column(bias.name, pa.array(values, mask=missing)))


def _changed(table: Loaded) -> Loaded:
    """The table after a release that renamed, dropped and redefined columns."""
    changes = {
        "parallax": {"name": "parallax_value"},
        "pmra": {"unit": "arcsec/yr"},
        "bp_rp": {"dtype": "float64"},
        "ra": {"dtype": "float32"},
    }
    kept = [column for column in table.contract.columns if column.name != "pseudocolour"]
    columns = tuple(replace(column, **changes.get(column.name, {})) for column in kept)
    contract = replace(table.contract, columns=columns)
    rows = table.rows.select([column.name for column in kept]).rename_columns(contract.names)
    return Loaded(contract, rows.slice(0, 10).cast(arrow_schema(contract)))


def _source(root: Path, release: str) -> SkySource:
    adapter: ReleaseAdapter = load_settings({"release": release}, root).adapter
    assert isinstance(adapter.source, SkySource)
    return adapter.source


def _random(table: TableSchema, source_id: np.ndarray, rng: np.random.Generator) -> Loaded:
    """Rows of a table that the sky does not know: any values its contract allows."""
    number = source_id.size
    data: Columns = {}
    for column in table.columns:
        low = 0.0 if column.low is None else column.low
        high = low + 100 if column.high is None else column.high
        if column.name in ("source_id", "GaiaDR3"):
            values = source_id
        elif column.name == "allwise_oid":
            values = rng.permutation(number) + 1
        elif column.name == table.key:
            values = np.arange(1, number + 1)
        elif column.dtype == "string":
            values = rng.integers(10_000, 99_999, number).astype(str).astype(object)
        elif column.dtype.startswith("float"):
            values = rng.uniform(low, min(high, low + 5), number)
            if column.nullable:
                values[rng.random(number) < 0.1] = np.nan
        else:
            values = rng.integers(int(low), int(min(high, 100)), number)
        data[column.name] = values
    return Loaded.of(table, data)
