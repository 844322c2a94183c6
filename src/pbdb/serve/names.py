"""Every name one can search by, in memory: compounds, genes, data sets, contexts, mechanisms."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from contextlib import closing
from itertools import accumulate, islice
from typing import NamedTuple
from urllib.parse import quote

import pyarrow as pa

from pbdb.common.rows import Row
from pbdb.serve.place import Reading

MOST_LETTERS_OF_BEGINNINGS = 2
MOST_HITS = 20_000
KINDS = ("compound", "gene", "mechanism", "context", "dataset")


class Name(NamedTuple):
    """A name, what it names, and the note beside it; `key` stands in addresses."""

    kind: str
    name: str
    note: str
    key: str
    label: str

    @property
    def href(self) -> str:
        """Address of the page, below the root."""
        return f"/{self.kind}/{quote(self.key, safe='')}"

    def shown(self) -> Row:
        """As the API gives it."""
        return {"kind": self.kind, "name": self.name, "note": self.note, "label": self.label, "href": self.href}


NAMED = pa.schema([(field, pa.string()) for field in Name._fields])


class Names:
    """All names of a state of the data, in order, and as one text that is searched as fast as memory is read.

    table: columns of NAMED. They stay columns: of hundreds of thousands of names an answer shows a few.
    """

    def __init__(self, table: pa.Table):
        lower = [_plain(name) for name in table["name"].to_pylist()]
        order = sorted(range(len(lower)), key=lower.__getitem__)
        ordered = table.combine_chunks().take(pa.array(order, pa.int64()))
        # A label, a note or a key is that of many names.
        self._columns = [column.combine_chunks().dictionary_encode() for column in ordered.columns]
        self._kinds = bytes(map(KINDS.index, self._columns[0].to_pylist()))
        self._text = "\n" + "\n".join(map(lower.__getitem__, order)) + "\n"
        self._starts = array("q", accumulate((len(lower[at]) + 1 for at in order), initial=1))

    def _lower(self, place: int) -> str:
        return self._text[self._starts[place] : self._starts[place + 1] - 1]

    def _name(self, place: int) -> Name:
        return Name(*(column[place].as_py() for column in self._columns))

    def _places(self, wanted: str) -> Iterator[int]:
        """Places of names that contain a text, or begin with it where it is too short to tell much."""
        sought = wanted if len(wanted) > MOST_LETTERS_OF_BEGINNINGS else f"\n{wanted}"
        at = self._text.find(sought)
        while at >= 0:
            place = bisect_right(self._starts, at + len(sought) - len(wanted)) - 1
            yield place
            at = self._text.find(sought, self._starts[place + 1] - 1)

    def exact(self, text: str, kind: str | None = None) -> list[Name]:
        """What goes by exactly this name, upper or lower case."""
        wanted, places = _plain(text), range(len(self._kinds))
        first, last = (bisect(places, wanted, key=self._lower) for bisect in (bisect_left, bisect_right))
        found = map(self._name, places[first:last])
        return list({(n.kind, n.key): n for n in found if kind in (None, n.kind)}.values())

    def search(self, text: str, limit: int, kind: str | None = None) -> list[Name]:
        """Names with the text in them: exact ones first, then those that begin with it, then short ones."""
        wanted = _plain(text)
        hits = []
        for place in islice(self._places(wanted), MOST_HITS) if wanted else ():
            lower, of = self._lower(place), self._kinds[place]
            if kind in (None, KINDS[of]):
                hits.append((lower != wanted, not lower.startswith(wanted), of, len(lower), place))
        found: dict[tuple[str, str], Name] = {}
        for *_, place in sorted(hits):
            name = self._name(place)
            found.setdefault((name.kind, name.key), name)
            if len(found) == limit:
                break
        return list(found.values())


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


def read(reading: Reading) -> Names:
    """Read all names, some at a time."""
    with closing(reading.batches(_NAMES, {}, NAMED)) as batches:
        return Names(pa.Table.from_batches(batches, NAMED))


_NAMES = """
SELECT DISTINCT 'compound' AS kind, alias AS name,
    CASE WHEN alias = compound_name THEN '' ELSE compound_name END AS note,
    coalesce(inchikey, compound_name) AS key, compound_name AS label FROM compound_alias
UNION ALL SELECT 'gene', gene_symbol, coalesce(gene_name, ''), gene_id, gene_symbol
FROM gene WHERE gene_symbol IS NOT NULL AND gene_symbol <> gene_id
UNION ALL SELECT 'gene', gene_id, coalesce(gene_name, ''), gene_id, coalesce(gene_symbol, gene_id) FROM gene
UNION ALL SELECT 'gene', s.synonym, 'now ' || coalesce(g.gene_symbol, g.gene_id), g.gene_id,
    coalesce(g.gene_symbol, g.gene_id) FROM core.gene_synonym s JOIN gene g ON g.gene_id = s.gene_id
UNION ALL SELECT 'dataset', dataset, coalesce(title, ''), dataset, dataset FROM dataset
UNION ALL SELECT 'context', coalesce(context_name, context), coalesce(tissue, ''), context,
    coalesce(context_name, context) FROM context
UNION ALL SELECT 'context', context, coalesce(tissue, ''), context, context_name
FROM context WHERE context_name <> context
UNION ALL SELECT DISTINCT 'mechanism', value, 'mechanism', value, value FROM compound_annotation WHERE kind = 'moa'
ORDER BY 1, 2, 4"""
