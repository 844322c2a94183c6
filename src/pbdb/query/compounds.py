"""Search for compounds: by name, key or number, by similarity of structure, by substructure."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from psycopg.rows import dict_row

from pbdb.common.errors import ConfigError, QueryError
from pbdb.common.rows import Row
from pbdb.identity.compounds import structure as chem
from pbdb.identity.compounds.clean_text import cid_or_none, inchikey_or_none
from pbdb.identity.compounds.structure import Refusal, Structure
from pbdb.query.database import Database
from pbdb.server import connect

DEFAULT_K = 20


def find(database: Database, way: str, text: str, limit: int = DEFAULT_K) -> list[Row]:
    """Search in one of the ways smiles, substructure, name, inchikey, cid; at most `limit` compounds."""
    if way == "smiles":
        return similar_to(database, text, limit)
    if way == "substructure":
        return with_substructure(database, text, limit)
    return {"name": by_name, "inchikey": by_inchikey, "cid": by_cid}[way](database, text)[:limit]


def by_name(database: Database, name: str) -> list[Row]:
    """Compounds with an alias that contains the text: compound_name, inchikey, aliases, datasets, is_exact."""
    return fetch(database, "SELECT * FROM pbdb.find_compound(%(text)s)", {"text": name})


def by_inchikey(database: Database, inchikey: str) -> list[Row]:
    """Compounds with this key, as their own or as their parent's.

    Raises:
        ConfigError: it is no standard InChIKey.
    """
    key = inchikey_or_none(inchikey)
    if key is None:
        raise ConfigError(f"'{inchikey}' is not a standard InChIKey.", value=inchikey)
    return fetch(database, f"{_COMPOUNDS} WHERE inchikey = %(key)s OR parent_inchikey = %(key)s {_ORDER}", {"key": key})


def by_cid(database: Database, cid: str) -> list[Row]:
    """Compounds with this PubChem CID.

    Raises:
        ConfigError: it is no whole number.
    """
    number = cid_or_none(cid)
    if number is None:
        raise ConfigError(f"'{cid}' is not a PubChem CID.", value=cid)
    return fetch(database, f"{_COMPOUNDS} WHERE pubchem_cid = %(cid)s {_ORDER}", {"cid": number})


def similar_to(database: Database, structure: str, k: int = DEFAULT_K) -> list[Row]:
    """Return the k compounds nearest to a SMILES, InChI or molblock: exact Tanimoto over the parents' fingerprints.

    Raises:
        ConfigError: the structure cannot be standardised.
    """
    query = {"bits": chem.bit_string(_standard(structure).fingerprint), "k": k}
    return fetch(database, "SELECT * FROM pbdb.similar_structures(CAST(%(bits)s AS bit(2048)), %(k)s)", query)


def with_substructure(database: Database, smarts: str, limit: int | None = None) -> list[Row]:
    """Return the compounds whose parent contains a SMARTS (or SMILES) pattern, by name; at most `limit` of them.

    The server screens by the pattern's bits, RDKit matches what is left.

    Raises:
        QueryError: the pattern cannot be read.
    """
    needed = chem.bit_string(chem.pattern_screen(smarts))
    candidates = fetch(database, _SCREENED, {"needed": needed})
    matches = chem.substructure(smarts, ((at, row.pop("smiles")) for at, row in enumerate(candidates)))
    return [candidates[at] for at in islice(matches, limit)]


def one_compound(database: Database, text: str) -> list[Row]:
    """Return the compounds a user means by a name, an InChIKey or a CID: those with exactly this alias.

    Raises:
        QueryError: there is none; the sentence names similar ones.
    """
    hits = by_name(database, text)
    exact = [row for row in hits if row["is_exact"]]
    if exact:
        return exact
    near = ", ".join(f"'{row['compound_name']}'" for row in hits[:5])
    hint = f"; there are {near}" if near else ""
    raise QueryError(
        f"No compound is called '{text}'{hint}: `pbdb compound search --name TEXT` looks into all names.", value=text
    )


def fetch(database: Database, query: str, parameters: Mapping[str, object]) -> list[Row]:
    """Run a query as pbdb_reader and return its rows by column name."""
    with connect.connect_as_reader(database.settings) as connection:
        return connection.cursor(row_factory=dict_row).execute(query, parameters).fetchall()


def _standard(structure: str) -> Structure:
    standardised = chem.standardise(structure)
    if isinstance(standardised, Refusal):
        raise ConfigError(f"The structure cannot be searched for: {standardised.detail}.")
    return standardised


_COMPOUNDS = """
SELECT compound_name, inchikey, parent_inchikey, skeleton, pubchem_cid, formula, molecular_weight, smiles
FROM pbdb.compound"""
_ORDER = "ORDER BY inchikey <> parent_inchikey, compound_name, inchikey"
_SCREENED = """
SELECT name AS compound_name, inchikey, parent_inchikey, parent_smiles AS smiles
FROM core.compound
WHERE replaced_by IS NULL AND pattern_fingerprint & CAST(%(needed)s AS bit(2048)) = CAST(%(needed)s AS bit(2048))
ORDER BY name, inchikey"""
