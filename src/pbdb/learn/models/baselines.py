"""What any model must beat: answers that need no model, and the control that must fail.

Each is handed centred training effects and rows of the same blocks, and returns differences from the contexts' means.
None is tuned on what it predicts; one slope per dataset is fitted to each of them later, on validation rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from scipy import sparse

from pbdb.learn.models import ridge
from pbdb.learn.models.compendium import Block, Compendium, Floats, Ints, Mask, Rows, Values
from pbdb.learn.models.problem import Method, Plain, Predictions, Visible
from pbdb.learn.models.structure import nearest, structure_map

NEIGHBOURS = 10
COMPONENTS = 32
MOST_CONSENSUS_GENES = 2000
FEWEST_COMPOUNDS = 10

Features = Callable[[Compendium], tuple[Floats, Mask]]


def mean_of_context(train: Compendium, wanted: Sequence[Rows]) -> list[Values]:
    """Predict the mean of the context: no difference from it."""
    return [np.zeros((len(rows), len(rows.genes)), np.float32) for rows in wanted]


def same_compound_elsewhere(train: Compendium, wanted: Sequence[Rows]) -> list[Values]:
    """Predict the mean effect of the compound in the other datasets, over the genes they share.

    Every dataset counts once; genes or compounds measured nowhere else get 0.
    """
    tables = {name: _by_compound(train, name) for name in train.datasets}
    return [_elsewhere(tables, rows) for rows in wanted]


def _by_compound(train: Compendium, dataset: str) -> tuple[Ints, Values, Mask]:
    """Compounds of a dataset, their mean effects over all genes (0 where not measured), and what is measured."""
    blocks = [block for block in train.blocks if block.dataset == dataset and len(block)]
    compounds = np.unique(np.concatenate([block.compound for block in blocks] or [np.empty(0, np.int64)]))
    total, rows = (np.zeros((len(compounds), len(train.genes)), np.float32) for _ in range(2))
    for block in blocks:
        different, means = compound_means(block)
        cells = np.ix_(np.searchsorted(compounds, different), block.genes)
        total[cells] += means
        rows[cells] += 1
    return compounds.astype(np.int64), np.asarray(total / np.maximum(rows, 1), np.float32), rows > 0


def _elsewhere(tables: dict[str, tuple[Ints, Values, Mask]], rows: Rows) -> Values:
    total, n = (np.zeros((len(rows), len(rows.genes)), np.float32) for _ in range(2))
    for name, (compounds, means, measured) in tables.items():
        if name == rows.dataset or not len(compounds):
            continue
        place = np.minimum(np.searchsorted(compounds, rows.compound), len(compounds) - 1)
        here = np.flatnonzero(compounds[place] == rows.compound)
        cells = np.ix_(place[here], rows.genes)
        total[here] += means[cells]
        n[here] += measured[cells]
    return np.asarray(total / np.maximum(n, 1), np.float32)


def compound_means(block: Block) -> tuple[Ints, Values]:
    """Compounds of a block and the mean of each one's rows."""
    different, place, counts = np.unique(block.compound, return_inverse=True, return_counts=True)
    shape = (len(different), len(block))
    average = sparse.csr_matrix((1 / counts[place], (place, np.arange(len(block)))), shape=shape, dtype=np.float32)
    return different, np.asarray(average @ block.values)


def nearest_structures(train: Compendium, wanted: Sequence[Rows]) -> list[Values]:
    """Predict the mean of the ten compounds of the same context nearest in structure, weighted by similarity."""
    blocks = {(block.dataset, block.context): block for block in train.blocks}
    return [_nearest(train, blocks[rows.dataset, rows.context], rows) for rows in wanted]


def _nearest(train: Compendium, block: Block, rows: Rows) -> Values:
    out = np.zeros((len(rows), len(rows.genes)), np.float32)
    if not len(block) or not len(rows):
        return out
    known, means = compound_means(block)
    with_structure = train.has_structure[known]
    known, means = known[with_structure], means[with_structure]
    asked, place = np.unique(rows.compound, return_inverse=True)
    if not len(known):
        return out
    neighbours, similarity = nearest(train.fingerprints[asked], train.fingerprints[known], NEIGHBOURS)
    weights = similarity / np.maximum(similarity.sum(axis=1, keepdims=True), 1e-12)
    return np.asarray(np.einsum("ck,ckg->cg", weights, means[neighbours])[place], np.float32)


def by_ridge(features: Features, folds: int | None = None) -> Plain:
    """Make a method: in each context, ridge regression of the compounds' mean effects on features of compounds.

    features: of a training compendium, returns compounds x features and which compounds have any; others get 0.
    folds: choose the penalty by so many parts of the training compounds instead of leaving out one at a time.
    """

    def method(train: Compendium, wanted: Sequence[Rows]) -> list[Values]:
        table, known = features(train)
        fitted = {(block.dataset, block.context): _coefficients(block, table, known, folds) for block in train.blocks}
        return [_linear(rows, table, known, fitted[rows.dataset, rows.context]) for rows in wanted]

    return method


def _coefficients(block: Block, table: Floats, known: Mask, folds: int | None) -> Floats | None:
    compounds, means = compound_means(block) if len(block) else (np.empty(0, np.int64), block.values)
    usable = known[compounds]
    if usable.sum() < FEWEST_COMPOUNDS:
        return None
    responses = means[usable].astype(np.float64)
    return ridge.fit(table[compounds[usable]], responses, together=True, folds=folds).coefficients


def _linear(rows: Rows, table: Floats, known: Mask, coefficients: Floats | None) -> Values:
    if coefficients is None:
        return np.zeros((len(rows), len(rows.genes)), np.float32)
    return np.asarray((table[rows.compound] * known[rows.compound, None]) @ coefficients).astype(np.float32)


def structure_features(train: Compendium) -> tuple[Floats, Mask]:
    """Features whose products are Tanimoto similarities: ridge on them is kernel ridge on structure."""
    features = structure_map(train.fingerprints).features(train.fingerprints).astype(np.float64)
    return features, train.has_structure


def consensus_features(train: Compendium) -> tuple[Floats, Mask]:
    """Leading components of consensus signatures: each compound's effects, in units of its dataset's spread, averaged.

    Genes measured for most rows, 2,000 at most; a gene not measured for a compound counts as 0.
    """
    rows_of_gene = np.zeros(len(train.genes))
    for block in train.blocks:
        rows_of_gene[block.genes] += len(block)
    chosen = np.sort(np.argsort(-rows_of_gene, kind="stable")[:MOST_CONSENSUS_GENES])
    total, n = _consensus(train, chosen)
    known = n > 0
    signatures = total[known] / n[known, None]
    if not len(signatures):
        return np.zeros((len(n), 1)), known
    _, axes = np.linalg.eigh(signatures.T @ signatures)
    features = np.zeros((len(n), min(COMPONENTS, axes.shape[1])))
    features[known] = signatures @ axes[:, ::-1][:, :COMPONENTS]
    return features / np.sqrt(np.maximum((features[known] ** 2).sum(axis=1).mean(), 1e-12)), known


def _consensus(train: Compendium, genes: Ints) -> tuple[Floats, Floats]:
    """Sum over blocks of the compounds' scaled mean effects on some genes, and how many blocks have each compound."""
    place = np.full(len(train.genes), -1)
    place[genes] = np.arange(len(genes))
    total, n = np.zeros((len(train.compounds), len(genes))), np.zeros(len(train.compounds))
    for block in train.blocks:
        if len(block):
            kept = np.flatnonzero(place[block.genes] >= 0)
            compounds, means = compound_means(block)
            scale = np.maximum(block.values.std(dtype=np.float64), 1e-6)
            total[np.ix_(compounds, place[block.genes[kept]])] += means[:, kept] / scale
            n[compounds] += 1
    return total, n


def permuted(method: Method, seed: int = 0) -> Method:
    """Make the control: the same method on training effects whose compounds are shuffled within each dataset."""

    def control(visible: Visible) -> Predictions:
        return method(replace(visible, train=shuffle_compounds(visible.train, seed)))

    return control


def shuffle_compounds(train: Compendium, seed: int) -> Compendium:
    """Give the compounds of each dataset one another's effects."""
    rng = np.random.default_rng(seed)
    new_name = {}
    for name in train.datasets:
        parts = [block.compound for block in train.blocks if block.dataset == name]
        compounds = np.unique(np.concatenate(parts))
        new_name[name] = np.arange(len(train.compounds))
        new_name[name][compounds] = rng.permutation(compounds)
    blocks = [
        Block(**{**vars(block), "compound": new_name[block.dataset][block.compound].astype(np.int64)})
        for block in train.blocks
    ]
    return train.with_blocks(blocks)
