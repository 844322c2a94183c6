"""Populations for z scores: mean and spread of each gene over the effects of a dataset, in one context or in all."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pbdb.matches.agreement import inputs as agreement_inputs
from pbdb.matches.agreement.inputs import FIT_RULES, Connection
from pbdb.matches.statistics.metrics import Signatures
from pbdb.matches.statistics.population import Moments
from pbdb.matches.statistics.stratum import VECTORS, Side

Scope = Literal["context", "dataset"]
Columns = npt.NDArray[np.intp]


class Population:
    """Moments of each gene over all treated effects of a fit's dataset, read once: in its context, or in all."""

    def __init__(self, connection: Connection, scope: Scope, fit_rule: str):
        self._connection, self._scope = connection, scope
        self._predicate = FIT_RULES[fit_rule]
        self._moments: dict[int, dict[str, Moments]] = {}

    def scaled(self, side: Side, fit_id: int, columns: Columns) -> Side:
        """The side in z scores; significance stays as it is."""

        def scale(rows: Signatures) -> Signatures:
            log2_fc, t = (self.z(rows.values(name), fit_id, columns, name) for name in VECTORS)
            return Signatures(log2_fc, t, rows.significant)

        return Side(scale(side.effects), scale(side.centroid), side.n_pool, scale(side.peers), side.peer_compound)

    def z(self, values: npt.NDArray[Any], fit_id: int, columns: Columns, name: str) -> npt.NDArray[np.float64]:
        """Rows of a fit as z scores, at some of its genes; name: log2_fc or t."""
        moments = self._of(fit_id)[name]
        return Moments(moments.n[columns], moments.mean[columns], moments.squares[columns]).z(values)

    def _of(self, fit_id: int) -> dict[str, Moments]:
        """Moments at the genes of a fit."""
        if fit_id not in self._moments:
            members = self._connection.execute(_MEMBERS.format(fits=self._predicate).encode(), [fit_id]).fetchall()
            together = [
                (fit, np.array(keys, dtype=np.int32)) for fit, keys, is_same in members if self._counts(is_same)
            ]
            self._moments |= _moments(self._connection, together)
        return self._moments[fit_id]

    def _counts(self, is_same_context: bool) -> bool:
        return is_same_context or self._scope == "dataset"


def _moments(connection: Connection, fits: list[tuple[int, npt.NDArray[np.int32]]]) -> dict[int, dict[str, Moments]]:
    """Moments over several fits together, at the genes of each; a gene that a fit did not test lacks its effects."""
    union = np.unique(np.concatenate([genes for _, genes in fits]))
    places = {fit_id: np.searchsorted(union, genes) for fit_id, genes in fits}
    combined: dict[str, Moments] = {name: _nothing(len(union)) for name in VECTORS}
    for fit_id, genes in fits:
        dataset_id, effects = _effects(connection, fit_id)
        for _, (fc, se, _) in agreement_inputs.read_arrays(connection, dataset_id, effects, len(genes)):
            for name, values in (("log2_fc", fc), ("t", agreement_inputs.t_of(fc, se))):
                combined[name] = combined[name].merged(_spread(Moments.of(values), places[fit_id], len(union)))
    return {
        fit_id: {name: Moments(of.n[at], of.mean[at], of.squares[at]) for name, of in combined.items()}
        for fit_id, at in places.items()
    }


def _nothing(n_genes: int) -> Moments:
    return Moments(np.zeros(n_genes), np.zeros(n_genes), np.zeros(n_genes))


def _spread(block: Moments, at: Columns, n_genes: int) -> Moments:
    """The moments of a fit's genes among more genes."""
    moments = _nothing(n_genes)
    for to, of in ((moments.n, block.n), (moments.mean, block.mean), (moments.squares, block.squares)):
        to[at] = of
    return moments


def _effects(connection: Connection, fit_id: int) -> tuple[int, npt.NDArray[np.int64]]:
    rows = connection.execute(_EFFECTS, [fit_id]).fetchall()
    return int(rows[0][0]), np.array([effect for _, effect in rows], dtype=np.int64)


# The fits of the same rule in the same data set, and whether their context is that of the fit.
_MEMBERS = """
SELECT f.fit_id, h.gene_keys, f.context_id = o.context_id
FROM core.fit o JOIN core.fit f ON f.dataset_id = o.dataset_id
JOIN core.feature_set h ON h.feature_set_id = f.feature_set_id
WHERE o.fit_id = %s AND (f.fit_id = o.fit_id OR (f.mode = 'pooled' AND ({fits})))
  AND cardinality(f.effect_ids) > 0 ORDER BY 1"""
_EFFECTS = """
SELECT e.dataset_id, e.effect_id FROM core.fit f
JOIN core.effect e ON e.dataset_id = f.dataset_id AND e.fit_id = f.fit_id
JOIN core.condition c ON c.condition_id = e.condition_id
WHERE f.fit_id = %s AND e.status = 'ok' AND NOT c.is_vehicle ORDER BY 2"""
