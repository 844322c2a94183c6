"""Resolution of compounds: the order of routes, conflicts, ambiguities, sentinels, names."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest

from pbdb.common.errors import VocabularyError
from pbdb.database.models import identity
from pbdb.identity.compounds import many_structures
from pbdb.identity.compounds import resolve as compounds
from pbdb.identity.compounds.clean_text import text_or_none
from pbdb.identity.compounds.pubchem_rest import Entry
from pbdb.identity.compounds.resolve import Record, Resolution, resolve
from pbdb.identity.compounds.source_compounds import compound_rows
from pbdb.identity.compounds.structure import RULE_VERSION, Structure, standardise

SAHA, SAHA_KEY = "ONC(=O)CCCCCCC(=O)Nc1ccccc1", "WAEXFXRVDQXREF-UHFFFAOYSA-N"
METFORMIN, METFORMIN_KEY = "CN(C)C(=N)N=C(N)N", "XZWYZXLIPXDOLR-UHFFFAOYSA-N"
SALT, SALT_KEY = "CN(C)C(=N)N=C(N)N.Cl", "OETHQSJEHLVLGH-UHFFFAOYSA-N"
ASPIRIN, ASPIRIN_KEY = "CC(=O)Oc1ccccc1C(=O)O", "BSYNRYMUTXBXSQ-UHFFFAOYSA-N"
L_ALANINE, D_ALANINE, ALANINE = (
    "QNAYBMKLOCPYGJ-REOHCLBHSA-N",
    "QNAYBMKLOCPYGJ-UWTATZPHSA-N",
    "QNAYBMKLOCPYGJ-UHFFFAOYSA-N",
)
MISSING = [None, "", " ", "-666", "-666.0", -666, -666.0, 0, "0", 0.0, "restricted", "Restricted", "nan", "NaN"]
MISSING += [float("nan"), "None", "NONE", "<NA>", pd.NA, np.nan, "NA", "null"]


@dataclass
class Known:
    """A look-up over what a test states; CIDs in `unasked` are not known to it."""

    structures: dict[int, tuple[str, str]]
    names: dict[str, tuple[int, ...]] = field(default_factory=dict)
    unasked: tuple[int, ...] = ()
    asked: list[str] = field(default_factory=list)

    def entries(self, cids: Collection[int]) -> dict[int, Entry | None]:
        return {cid: self._entry(cid) for cid in cids if cid not in self.unasked}

    def _entry(self, cid: int) -> Entry | None:
        return Entry(cid, *self.structures[cid]) if cid in self.structures else None

    def cids_of_inchikeys(self, inchikeys: Collection[str]) -> dict[str, tuple[int, ...]]:
        found = {key: sorted(c for c, (own, _) in self.structures.items() if own == key) for key in inchikeys}
        return {key: tuple(cids) for key, cids in found.items()}

    def cids_of_names(self, names: Collection[str]) -> dict[str, tuple[int, ...]]:
        self.asked += names
        return {name: self.names.get(name.lower(), ()) for name in names}


def pubchem(unasked: tuple[int, ...] = ()) -> Known:
    structures = {
        5311: (SAHA_KEY, SAHA),
        4091: (METFORMIN_KEY, METFORMIN),
        14219: (SALT_KEY, SALT),
        2244: (ASPIRIN_KEY, ASPIRIN),
        5950: (L_ALANINE, "C[C@@H](C(=O)O)N"),
        602: (ALANINE, "CC(C(=O)O)N"),
    }
    names = {"saha": (5311,), "metformin": (14219, 4091), "wonder": (2244, 5311), "149647-78-9": (5311,)}
    return Known(structures, names, unasked)


def one(record: Record, lookup: Known | None = None, **aliases: int) -> Resolution:
    (resolution,) = resolve([record], aliases=aliases, pubchem=lookup)
    return resolution


def test_a_structure_decides_without_a_network() -> None:
    found = one(Record(structure=SALT))
    assert (found.route, found.inchikey, found.parent_inchikey) == ("structure", SALT_KEY, METFORMIN_KEY)
    assert (found.skeleton, found.conflict, found.problem) == (METFORMIN_KEY[:14], None, None)
    assert isinstance(found.structure, Structure) and found.rule_version == RULE_VERSION


def test_the_first_usable_statement_of_the_written_order_decides() -> None:
    parts = {
        "structure": SAHA, "inchikey": METFORMIN_KEY, "pubchem_cid": 2244,
        "source_id": "Tubastatin", "cas": "149647-78-9", "name": "wonder",
    }  # fmt: skip
    routes = []
    for part in list(parts):
        routes.append(one(Record(**parts), pubchem(), tubastatin=14219).route)
        parts[part] = None
    assert routes == ["structure", "inchikey", "pubchem_cid", "alias", "cas", "unresolved"]


def test_a_molblock_may_begin_with_an_empty_line() -> None:
    from rdkit import Chem

    block = Chem.MolToMolBlock(Chem.MolFromSmiles(SAHA))
    assert block.startswith("\n") and one(Record(structure=block)).inchikey == SAHA_KEY


@pytest.mark.parametrize("missing", MISSING)
def test_sentinels_are_never_identities(missing: object) -> None:
    lookup = pubchem()
    found = one(Record(missing, missing, missing, missing, missing, missing), lookup)
    assert (found.route, found.problem, lookup.asked) == ("unresolved", None, [])


def test_an_unreadable_structure_is_reported_and_the_next_statement_decides() -> None:
    found = one(Record(structure="C1CC", inchikey=f"InChIKey={SAHA_KEY}"), pubchem())
    assert (found.route, found.parent_inchikey, found.pubchem_cid) == ("inchikey", SAHA_KEY, 5311)
    assert found.problem and "cannot read the structure 'C1CC'" in found.problem


def test_a_key_alone_has_no_parent_because_none_is_known() -> None:
    found = one(Record(inchikey=SALT_KEY))
    assert (found.route, found.inchikey, found.parent_inchikey) == ("inchikey", SALT_KEY, None)
    assert found.skeleton == SALT_KEY[:14]


def test_a_key_that_pubchem_knows_gets_its_parent() -> None:
    found = one(Record(inchikey=SALT_KEY), pubchem())
    assert (found.route, found.parent_inchikey, found.pubchem_cid) == ("inchikey", METFORMIN_KEY, 14219)


@pytest.mark.parametrize("written", [14219, "14219", 14219.0, "14219.0", np.int64(14219)])
def test_cids_are_read_in_every_form_a_table_has_them(written: object) -> None:
    found = one(Record(pubchem_cid=written), pubchem())
    assert (found.route, found.inchikey, found.parent_inchikey) == ("pubchem_cid", SALT_KEY, METFORMIN_KEY)


def test_a_cid_that_cannot_be_looked_up_is_all_that_is_known() -> None:
    for lookup in (None, pubchem(unasked=(14219,))):
        found = one(Record(pubchem_cid=14219), lookup)
        assert (found.route, found.inchikey, found.pubchem_cid) == ("pubchem_cid", None, 14219)


def test_a_cid_that_pubchem_does_not_have_is_reported() -> None:
    found = one(Record(pubchem_cid=99, name="SAHA"), pubchem())
    assert (found.route, found.pubchem_cid, found.problem) == ("name", 5311, "PubChem has no CID 99")


def test_an_alias_comes_before_any_name_look_up() -> None:
    lookup = pubchem()
    found = one(Record(name="Wonder"), lookup, wonder=2244)
    assert (found.route, found.inchikey, lookup.asked) == ("alias", ASPIRIN_KEY, [])


def test_aliases_go_by_the_sources_id_before_the_name() -> None:
    (found,) = resolve(
        [Record(name="GNF-2", source_id="BRD-1")], aliases={"gnf-2": 2244, "BRD-1": 5311}, pubchem=pubchem()
    )
    assert found.pubchem_cid == 5311


def test_two_aliases_of_one_name_are_refused() -> None:
    with pytest.raises(VocabularyError, match="'zm' stands for two PubChem CIDs"):
        resolve([], aliases={"ZM": 1, "zm": 2})


def test_a_cas_number_is_looked_up_only_if_its_check_digit_is_right() -> None:
    lookup = pubchem()
    assert one(Record(cas="00149647-78-9"), lookup).route == "cas"
    wrong = one(Record(cas="149647-78-8"), lookup)
    assert (wrong.route, wrong.problem) == ("unresolved", "'149647-78-8' is not a valid CAS number")
    assert lookup.asked == ["149647-78-9"]


def test_a_number_is_never_a_name() -> None:
    lookup = pubchem()
    assert one(Record(name="9321914"), lookup).route == "unresolved"
    assert lookup.asked == []


def test_names_are_asked_only_for_what_nothing_else_resolves() -> None:
    lookup = pubchem()
    resolve([Record(structure=SAHA, name="a"), Record(inchikey=SAHA_KEY, name="b"), Record(name="c")], pubchem=lookup)
    assert lookup.asked == ["c"]


def test_hits_of_one_parent_are_one_compound_and_the_parent_is_taken() -> None:
    found = one(Record(name="metformin"), pubchem())
    assert (found.route, found.inchikey, found.pubchem_cid) == ("name", METFORMIN_KEY, 4091)


def test_hits_of_several_parents_are_an_ambiguity_and_stay_unresolved() -> None:
    found = one(Record(name="wonder"), pubchem())
    assert (found.route, found.inchikey) == ("unresolved", None)
    assert found.problem == "'wonder' is ambiguous: 2 CIDs (2244, 5311)"


def test_a_name_is_reported_as_unknown_or_as_not_asked() -> None:
    assert one(Record(name="nobody"), pubchem()).problem == "PubChem has no compound named 'nobody'"
    assert one(Record(name="nobody")).problem == "'nobody' has not been looked up in PubChem"


@pytest.mark.parametrize(
    ("structure", "key", "kind"),
    [
        (SALT, METFORMIN_KEY, "salt"),
        ("C[C@H](N)C(=O)O", D_ALANINE, "stereo"),
        ("CC(N)C(=O)O", L_ALANINE, "stereo, not in the structure"),
        ("C[C@H](N)C(=O)O", ALANINE, "stereo, not in the given key"),
        ("C[C@H](N)C(=O)O.OC(=O)C(F)(F)F", D_ALANINE, "salt and stereo"),
        (ASPIRIN, ASPIRIN_KEY[:-1] + "M", "charge"),
        ("[2H]C([2H])([2H])Oc1ccccc1", "RDOXTESZEPMUJZ-UHFFFAOYSA-N", "isotope"),
        (SAHA, ASPIRIN_KEY, "structure"),
    ],
)
def test_a_key_that_contradicts_the_structure_is_a_conflict_of_a_kind(structure: str, key: str, kind: str) -> None:
    found = one(Record(structure=structure, inchikey=key))
    assert found.route == "structure"
    assert found.conflict and found.conflict.startswith(f"{kind}: the InChIKey given is {key}, the one found")


@pytest.mark.parametrize(
    ("structure", "key"),
    [(SAHA, SAHA_KEY), (SAHA, SAHA_KEY.lower()), ("CC(=O)Oc1ccccc1C(=O)[O-]", ASPIRIN_KEY[:-1] + "M")],
)
def test_a_key_of_the_structure_as_written_or_as_standardised_agrees(structure: str, key: str) -> None:
    assert one(Record(structure=structure, inchikey=key)).conflict is None


def test_a_cid_that_contradicts_the_structure_is_a_conflict_and_not_kept() -> None:
    found = one(Record(structure=SAHA, pubchem_cid=2244), pubchem())
    assert (found.route, found.inchikey, found.pubchem_cid) == ("structure", SAHA_KEY, 5311)
    assert found.conflict == f"structure: the CID given, 2244, is {ASPIRIN_KEY}, the key found {SAHA_KEY}"


@pytest.mark.parametrize(
    ("structure", "cid", "kind"), [(METFORMIN, 14219, "salt"), (SALT, 4091, "salt"), ("C[C@H](N)C(=O)O", 602, "stereo")]
)
def test_a_cid_of_another_form_is_a_conflict_of_a_kind(structure: str, cid: int, kind: str) -> None:
    found = one(Record(structure=structure, pubchem_cid=cid), pubchem())
    assert found.conflict and found.conflict.split(":")[0].split(",")[0] == kind


def test_a_key_and_a_cid_without_a_structure_are_compared() -> None:
    found = one(Record(inchikey=SAHA_KEY, pubchem_cid=2244), pubchem())
    assert (found.route, found.pubchem_cid) == ("inchikey", 5311)
    assert found.conflict and found.conflict.startswith("structure: the CID given, 2244")


def test_a_cid_that_agrees_or_cannot_be_checked_is_kept() -> None:
    for lookup in (None, pubchem(), pubchem(unasked=(5311,))):
        found = one(Record(structure=SAHA, pubchem_cid=5311), lookup)
        assert (found.pubchem_cid, found.conflict) == (5311, None)


def test_a_structure_without_a_cid_gets_the_lowest_of_its_key() -> None:
    lookup = pubchem()
    lookup.structures[77] = (SAHA_KEY, SAHA)
    assert one(Record(structure=SAHA), lookup).pubchem_cid == 77


def test_records_without_anything_usable_are_kept_in_their_places() -> None:
    found = resolve([Record(name="x"), Record(structure=SAHA), Record(), Record(inchikey="nonsense")])
    assert [r.route for r in found] == ["unresolved", "structure", "unresolved", "unresolved"]
    assert found[3].problem == "'nonsense' is not a valid InChIKey"


def test_several_processes_give_what_one_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many_structures, "_ENOUGH_FOR_A_POOL", 3)
    records = [Record(structure=text) for text in (SAHA, SALT, "C1CC", ASPIRIN, SAHA)]
    assert resolve(records, workers=2) == resolve(records)


def test_routes_are_those_the_table_takes() -> None:
    assert compounds.ROUTES == identity.ROUTES


def test_standard_forms_are_computed_once_for_each_structure(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def count(text: str) -> object:
        seen.append(text)
        return standardise(text)

    monkeypatch.setattr("pbdb.identity.compounds.structure.standardise", count)
    resolve([Record(structure=SAHA)] * 50)
    assert seen == [SAHA]


def test_one_row_of_a_compound_holds_what_any_source_compound_tells() -> None:
    records = [Record(inchikey=SALT_KEY), Record(structure=SALT), Record(structure=SALT, pubchem_cid=14219)]
    (row,) = compound_rows(pd.DataFrame({"resolution": resolve(records)})).to_dict("records")
    assert (row["inchikey"], row["parent_inchikey"], row["pubchem_cid"]) == (SALT_KEY, METFORMIN_KEY, 14219)
    assert compound_rows(pd.DataFrame({"resolution": resolve([Record(name="x")])})).empty


def test_text_keeps_what_only_looks_like_a_sentinel() -> None:
    assert [text_or_none(text) for text in ("0.5", "-6660", "naN3", "none such", " x ")] == [
        "0.5", "-6660", "naN3", "none such", "x",
    ]  # fmt: skip
