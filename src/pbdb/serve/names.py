"""Every name one can search by, in memory: compounds, genes, data sets, contexts, mechanisms."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, islice
from typing import NamedTuple
from urllib.parse import quote

from pbdb.serve.place import Reading, Row

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


@dataclass
class Names:
    """All names of a state of the data, as one text that is searched as fast as memory is read."""

    names: list[Name]

    @cached_property
    def _lower(self) -> list[str]:
        return [" ".join(name.name.lower().split()) for name in self.names]

    @cached_property
    def _text(self) -> str:
        return "\n" + "\n".join(self._lower) + "\n"

    @cached_property
    def _starts(self) -> list[int]:
        return list(accumulate((len(lower) + 1 for lower in self._lower), initial=1))

    def _places(self, wanted: str) -> Iterator[int]:
        """Places of names that contain a text, or begin with it where it is too short to tell much."""
        sought = wanted if len(wanted) > MOST_LETTERS_OF_BEGINNINGS else f"\n{wanted}"
        at = self._text.find(sought)
        while at >= 0:
            place = bisect_right(self._starts, at + len(sought) - len(wanted)) - 1
            yield place
            at = self._text.find(sought, self._starts[place + 1] - 1)

    @cached_property
    def _exact(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for place, lower in enumerate(self._lower):
            found.setdefault(lower, []).append(place)
        return found

    def exact(self, text: str, kind: str | None = None) -> list[Name]:
        """What goes by exactly this name, upper or lower case."""
        found = (self.names[place] for place in self._exact.get(" ".join(text.lower().split()), []))
        return list({(n.kind, n.key): n for n in found if kind in (None, n.kind)}.values())

    def search(self, text: str, limit: int, kind: str | None = None) -> list[Name]:
        """Names with the text in them: exact ones first, then those that begin with it, then short ones."""
        wanted = " ".join(text.lower().split())
        if not wanted:
            return []
        hits = []
        for place in islice(self._places(wanted), MOST_HITS):
            lower, of = self._lower[place], self.names[place].kind
            if kind in (None, of):
                hits.append((lower != wanted, not lower.startswith(wanted), KINDS.index(of), len(lower), place))
        found: dict[tuple[str, str], Name] = {}
        for *_, place in sorted(hits):
            found.setdefault((self.names[place].kind, self.names[place].key), self.names[place])
            if len(found) == limit:
                break
        return list(found.values())


def read(reading: Reading) -> Names:
    """Read all names."""
    found = []
    for row in reading.ask(_COMPOUNDS):
        key = row["inchikey"] or row["compound_name"]
        note = "" if row["alias"] == row["compound_name"] else row["compound_name"]
        found.append(Name("compound", row["alias"], note, key, row["compound_name"]))
    for row in reading.ask(_GENES):
        symbol = row["gene_symbol"] or row["gene_id"]
        found += [
            Name("gene", text, row["gene_name"] or "", row["gene_id"], symbol) for text in {symbol, row["gene_id"]}
        ]
    for row in reading.ask(_SYNONYMS):
        found.append(Name("gene", row["synonym"], f"now {row['gene_symbol']}", row["gene_id"], row["gene_symbol"]))
    for row in reading.ask("SELECT dataset, title FROM dataset ORDER BY dataset"):
        found.append(Name("dataset", row["dataset"], row["title"] or "", row["dataset"], row["dataset"]))
    for row in reading.ask("SELECT context, context_name, tissue FROM context ORDER BY context"):
        note, label = row["tissue"] or "", row["context_name"] or row["context"]
        found += [Name("context", text, note, row["context"], label) for text in {label, row["context"]}]
    for row in reading.ask("SELECT DISTINCT value FROM compound_annotation WHERE kind = 'moa' ORDER BY value"):
        found.append(Name("mechanism", row["value"], "mechanism", row["value"], row["value"]))
    return Names(found)


_COMPOUNDS = """
SELECT DISTINCT alias, compound_name, inchikey FROM compound_alias ORDER BY alias, compound_name, inchikey"""
_GENES = "SELECT gene_id, gene_symbol, gene_name FROM gene ORDER BY gene_id"
_SYNONYMS = """
SELECT s.synonym, g.gene_id, coalesce(g.gene_symbol, g.gene_id) AS gene_symbol
FROM core.gene_synonym s JOIN gene g ON g.gene_id = s.gene_id ORDER BY s.synonym, g.gene_id"""
