"""Every name one can search by, in memory: compounds, genes, data sets, contexts, mechanisms."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple
from urllib.parse import quote

from pbdb.serve.place import Reading, Row

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
    """All names of a state of the data; a search reads them all, which is quicker than the eye."""

    names: list[Name]

    @cached_property
    def _lower(self) -> list[str]:
        return [name.name.lower() for name in self.names]

    @cached_property
    def _exact(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for place, lower in enumerate(self._lower):
            found.setdefault(lower, []).append(place)
        return found

    def exact(self, text: str, kind: str | None = None) -> list[Name]:
        """What goes by exactly this name, upper or lower case."""
        found = (self.names[place] for place in self._exact.get(text.strip().lower(), []))
        return list({(n.kind, n.key): n for n in found if kind in (None, n.kind)}.values())

    def search(self, text: str, limit: int, kind: str | None = None) -> list[Name]:
        """Names that contain the text: exact ones first, then those that begin with it, then short ones."""
        wanted = text.strip().lower()
        if not wanted:
            return []
        hits = [
            (lower != wanted, not lower.startswith(wanted), KINDS.index(self.names[place].kind), len(lower), place)
            for place, lower in enumerate(self._lower)
            if wanted in lower and kind in (None, self.names[place].kind)
        ]
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
