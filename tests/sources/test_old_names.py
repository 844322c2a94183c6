"""Declarations written for the release before still load, and say what is called otherwise now."""

from __future__ import annotations

from pathlib import Path

import pytest

import pbdb.source
from pbdb import readers
from pbdb.source import CompoundColumns, Context, File, ProfileBlock, Pseudobulk, SampleColumns, Source
from pbdb.sources import old_names, registry

DECLARATION = """
from pbdb import readers
from pbdb.source import Assay, Block, Cells, Compounds, Dataset, Features, File, Samples, Source, col, const

SOURCE = Source(
    key="screen",
    title="of before",
    assay=Assay("DRUG-seq", "counts"),
    files={"sheet": File("sheet.csv", readers.csv)},
    datasets={"screen": Dataset(release="1", license="MIT", citation="a test")},
    blocks=lambda files, dataset: iter(()),
    samples=Samples(
        sample=col("s"), plate=col("p"), compound=col("c"), dose=col("d", unit="uM"), time=const(24),
        context=const("A"), vehicle="c == 'DMSO'",
    ),
    features=Features("symbol"),
    contexts={"A": Cells("CVCL:0001", "A")},
    compounds=Compounds("sheet", "c"),
    effects="trend",
)
"""


@pytest.mark.parametrize(
    ("before", "now"),
    [("Block", ProfileBlock), ("Cells", Context), ("Compounds", CompoundColumns), ("Samples", SampleColumns)],
)
def test_a_class_is_found_by_its_old_name(before: str, now: type) -> None:
    with pytest.warns(DeprecationWarning, match=f"'{before}' is '{now.__name__}' now"):
        assert getattr(pbdb.source, before) is now


def test_every_old_name_leads_to_one_that_is_there() -> None:
    assert set(old_names.CLASSES.values()) <= set(pbdb.source.__all__)
    assert not set(old_names.CLASSES) & set(pbdb.source.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Cell'"):
        _ = pbdb.source.Cell


def test_a_keyword_is_understood_by_its_old_name() -> None:
    pooled = Pseudobulk(keys=("plate",))
    with pytest.warns(DeprecationWarning, match="pseudobulk=") as said:
        file = File("cells.h5ad", readers.cell_matrix, cells=pooled)  # type: ignore[call-arg]
    assert file == File("cells.h5ad", readers.cell_matrix, pseudobulk=pooled)
    assert said[0].filename == __file__


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_declaration_of_before_is_read(tmp_path: Path) -> None:
    (tmp_path / "screen.py").write_text(DECLARATION)
    source = registry.get(str(tmp_path / "screen.py"))
    assert isinstance(source, Source)
    assert source.effect_method == "trend"
    assert source.contexts == {"A": Context("CVCL:0001", "A")}
