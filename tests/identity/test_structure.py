"""Structures: standard forms, parents, keys, refusals, fingerprints and pictures."""

from __future__ import annotations

import pickle
from pathlib import Path

import pandas as pd
import pytest
from chembl_structure_pipeline import standardizer
from rdkit import Chem, DataStructs, rdBase
from rdkit.Chem import rdFingerprintGenerator

from pbdb.common.errors import ConfigError, DataError, QueryError
from pbdb.identity.compounds import structure
from pbdb.identity.compounds.structure import Refusal, Structure, standardise

VORINOSTAT = "ONC(=O)CCCCCCC(=O)Nc1ccccc1"
METFORMIN = "CN(C)C(=N)N=C(N)N"
ASPIRIN_KEY = "BSYNRYMUTXBXSQ-UHFFFAOYSA-N"


def known(text: str) -> Structure:
    result = standardise(text)
    assert isinstance(result, Structure), result
    return result


def refused(text: str) -> Refusal:
    result = standardise(text)
    assert isinstance(result, Refusal), result
    return result


def test_a_structure_has_every_level_of_identity() -> None:
    salt = known(f"{METFORMIN}.Cl")
    assert salt.inchikey == "OETHQSJEHLVLGH-UHFFFAOYSA-N"
    assert salt.parent_inchikey == "XZWYZXLIPXDOLR-UHFFFAOYSA-N"
    assert salt.skeleton == "XZWYZXLIPXDOLR"
    assert (salt.formula, salt.molecular_weight) == ("C4H12ClN5", pytest.approx(165.62, abs=0.02))
    assert "Cl" not in salt.parent_smiles


@pytest.mark.parametrize("text", ["CC(=O)Oc1ccccc1C(=O)O", "OC(=O)c1ccccc1OC(C)=O", " CC(=O)OC1=CC=CC=C1C(O)=O\n"])
def test_one_compound_has_one_key_however_it_is_written(text: str) -> None:
    assert known(text).inchikey == ASPIRIN_KEY
    assert known(text).smiles == known("CC(=O)Oc1ccccc1C(=O)O").smiles


def test_molblock_and_inchi_are_read_like_smiles() -> None:
    mol = Chem.MolFromSmiles(VORINOSTAT)
    for text in (Chem.MolToMolBlock(mol), Chem.MolToV3KMolBlock(mol), Chem.MolToInchi(mol)):
        assert known(text).inchikey == known(VORINOSTAT).inchikey == "WAEXFXRVDQXREF-UHFFFAOYSA-N"


@pytest.mark.parametrize("charged", ["CC(=O)Oc1ccccc1C(=O)[O-]", "CC(=O)Oc1ccccc1C(=O)[O-].[H+]"])
def test_charged_forms_are_neutralised(charged: str) -> None:
    ion = known(charged)
    assert (ion.parent_inchikey, "charged" in ion.kinds) == (ASPIRIN_KEY, "[H+]" not in charged)


def test_the_key_as_written_is_kept_beside_the_standard_one() -> None:
    ion = known("CC(=O)Oc1ccccc1C(=O)[O-]")
    assert ion.written_inchikey == "BSYNRYMUTXBXSQ-UHFFFAOYSA-M"
    assert ion.inchikey == ASPIRIN_KEY


def test_a_charge_that_cannot_be_neutralised_stays() -> None:
    acetylcholine = known("CC(=O)OCC[N+](C)(C)C")
    assert acetylcholine.inchikey == "OIPILFWXSMYKGL-UHFFFAOYSA-N"
    assert acetylcholine.smiles.count("+") == 1


def test_a_metal_salt_shares_its_parent_with_the_acid() -> None:
    sodium = known("CC(=O)Oc1ccccc1C(=O)[O-].[Na+]")
    assert (sodium.inchikey == ASPIRIN_KEY, sodium.parent_inchikey) == (False, ASPIRIN_KEY)


def test_a_solvate_shares_its_parent_with_the_dry_form() -> None:
    assert known(f"{VORINOSTAT}.CS(C)=O.O").parent_inchikey == known(VORINOSTAT).inchikey


@pytest.mark.parametrize("text", ["[Na+].[Cl-]", "CS(C)=O", "O"])
def test_what_consists_of_salts_or_solvents_alone_is_its_own_parent(text: str) -> None:
    assert known(text).parent_inchikey == known(text).inchikey


def test_a_mixture_keeps_all_its_components() -> None:
    pair = known("CC(C)Cc1ccc(C(C)C(=O)O)cc1.CN1CCCC1c1cccnc1.Cl")
    assert pair.kinds == ("mixture",)
    assert pair.parent_smiles.count(".") == 1
    assert pair.parent_inchikey not in {known(part).inchikey for part in pair.parent_smiles.split(".")}


def test_several_copies_of_one_component_have_it_as_parent() -> None:
    hemi = known(f"{METFORMIN}.{METFORMIN}.OS(=O)(=O)O")
    assert (hemi.kinds, hemi.parent_inchikey) == ((), known(METFORMIN).inchikey)


def test_inorganics_have_keys() -> None:
    arsenic = known("[As](O)(O)O")
    assert (arsenic.kinds, arsenic.inchikey) == (("inorganic",), "GCPXMJHSNVMWNM-UHFFFAOYSA-N")


@pytest.mark.parametrize("text", ["N.N.Cl[Pt]Cl", "[NH3][Pt]([NH3])(Cl)Cl", "[NH3]->[Pt](<-[NH3])(Cl)Cl"])
def test_a_metal_complex_has_one_key_whatever_its_bonds_to_the_metal(text: str) -> None:
    cisplatin = known(text)
    assert cisplatin.inchikey == "LXZZYRPGZAFOLE-UHFFFAOYSA-L"
    assert "metal" in cisplatin.kinds


def test_a_peptide_is_a_molecule_like_any_other() -> None:
    angiotensin = Chem.MolToSmiles(Chem.MolFromSequence("DRVYIHPFHL"))
    peptide = known(angiotensin)
    assert (peptide.formula, peptide.parent_inchikey) == ("C62H89N17O14", peptide.inchikey)


def test_a_polymer_is_refused_in_both_notations() -> None:
    assert refused("*CCO*").reason == "query"
    assert refused("CCO |Sg:n:1,2:n:ht|").reason == "polymer"


@pytest.mark.parametrize(
    ("text", "reason", "words"),
    [
        ("", "empty", "no structure"),
        ("C1CC", "unparsable", "C1CC"),
        ("CN(C)(C)(C)C", "unparsable", "valence"),
        ("InChI=1S/nonsense", "unparsable", "InChI=1S"),
        ("vorinostat", "unparsable", "vorinostat"),
        ("[R1]CC", "unparsable", ""),
        ("C" * 1025, "too_large", "1024"),
    ],
)
def test_what_has_no_identity_is_refused_with_the_reason(text: str, reason: str, words: str) -> None:
    refusal = refused(text)
    assert refusal.reason == reason
    assert words in refusal.detail and len(refusal.detail) < 250


def test_radicals_are_kept_and_marked() -> None:
    tempo = known("CC1(C)CCCC(C)(C)N1[O]")
    assert (tempo.kinds, tempo.inchikey) == (("radical",), "QYTDEUPAUMOIOP-UHFFFAOYSA-N")


def test_isotopes_count_in_the_compound_and_not_in_its_parent() -> None:
    labelled = known("[2H]C([2H])([2H])Oc1ccccc1")
    assert labelled.kinds == ("isotope",)
    assert labelled.inchikey == "RDOXTESZEPMUJZ-FIBGUPNXSA-N"
    assert labelled.parent_inchikey == known("COc1ccccc1").inchikey


def test_mobile_hydrogens_are_merged_and_other_tautomers_are_not() -> None:
    assert known("Cc1c[nH]cn1").inchikey == known("Cc1cnc[nH]1").inchikey
    assert known("CC(=O)CC(C)=O").skeleton != known("CC(=O)C=C(C)O").skeleton


def test_stereoisomers_differ_in_the_key_and_share_the_skeleton() -> None:
    forms = [known(text) for text in ("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O", "CC(N)C(=O)O")]
    assert len({form.parent_inchikey for form in forms}) == 3
    assert len({form.skeleton for form in forms}) == 1


def test_relative_stereo_counts_as_unknown() -> None:
    racemate = known("C[C@H](N)C(=O)O |&1:1|")
    assert racemate.inchikey == known("CC(N)C(=O)O").inchikey
    assert racemate.kinds == ("relative_stereo",)
    assert racemate.written_inchikey == known("C[C@H](N)C(=O)O").inchikey


@pytest.mark.parametrize(
    "extension",
    ["|THB:9:7:1:3.4|", "|r,THB:9:7:1:3.4|", "|TLB:1:2:3,4:5:6.7,THB:9:7:1:3.4,&1:12|", "|&1:12,THB:9:7:1|"],
)
def test_hints_on_drawing_do_not_hide_a_structure(extension: str) -> None:
    atropine = known(f"CN1[C@H]2CC[C@@H]1C[C@@H](C2)OC(=O)[C@@H](CO)c1ccccc1 {extension}")
    assert atropine.skeleton == "RKUNBYITZUJHSG"
    assert ("relative_stereo" in atropine.kinds) == ("&1" in extension)


def test_atropisomers_share_one_key() -> None:
    binol = "Oc1ccc2ccccc2c1-c1c(O)ccc2ccccc12"
    right, left = (known(f"{binol} |(0,0,;),wU:10.10|"), known(f"{binol} |(0,0,;),wD:10.10|"))
    assert right.inchikey == left.inchikey == known(binol).inchikey


def test_the_standard_form_is_a_fixed_point() -> None:
    for text in (VORINOSTAT, "C[N+](=O)[O-]", "CS(C)=O", "OC(=O)[C@H](O)[C@@H](O)C(=O)O.CN", "N.N.Cl[Pt]Cl"):
        assert known(known(text).smiles).inchikey == known(text).inchikey


def test_the_short_way_to_a_parent_agrees_with_the_pipeline(shared: Path) -> None:
    table = pd.read_csv(shared / "data/drugseq_like/novartis/MoABox_compounds_metadata.txt.gz", sep="\t")
    for text in table.smiles.dropna().iloc[::80]:
        ours = standardise(text)
        with rdBase.BlockLogs():
            parent, _ = standardizer.get_parent_mol(standardizer.standardize_mol(Chem.MolFromSmiles(text)))
            Chem.SanitizeMol(parent)
        assert isinstance(ours, Structure) and ours.parent_inchikey == Chem.MolToInchiKey(parent)


def test_structures_travel_between_processes() -> None:
    assert pickle.loads(pickle.dumps(known(VORINOSTAT))) == known(VORINOSTAT)


def test_the_rule_version_names_rules_and_libraries() -> None:
    assert structure.RULE_VERSION.split()[0].isdecimal()
    assert {part.split("=")[0] for part in structure.RULE_VERSION.split()[1:]} == {
        "rdkit",
        "chembl_structure_pipeline",
        "inchi",
    }


def test_nothing_is_written_to_the_log_and_the_log_stays_on(capfd: pytest.CaptureFixture[str]) -> None:
    refused("C1CC")
    assert capfd.readouterr().err == ""
    assert Chem.MolFromSmiles("C1CC") is None
    assert "unclosed ring" in capfd.readouterr().err


def test_the_fingerprint_is_rdkits_of_the_parent_in_postgres_order() -> None:
    salt = known(f"{METFORMIN}.Cl")
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    expected = generator.GetFingerprint(Chem.MolFromSmiles(salt.parent_smiles))
    assert structure.bit_string(salt.fingerprint) == DataStructs.BitVectToText(expected)


def test_substructures_are_found() -> None:
    rows = [(n, known(text).parent_smiles) for n, text in enumerate((VORINOSTAT, METFORMIN, "CC(=O)Nc1ccccc1", "CCO"))]
    assert list(structure.substructure("C(=O)N[#8]", rows)) == [0]
    assert list(structure.substructure("c1ccccc1", rows)) == [0, 2]
    assert list(structure.substructure("[NX3;H2,H1]", rows)) == [0, 1, 2]


def test_the_screen_loses_no_hit(shared: Path) -> None:
    table = pd.read_csv(shared / "data/drugseq_like/novartis/MoABox_compounds_metadata.txt.gz", sep="\t")
    found = [s for s in map(standardise, table.smiles.dropna().iloc[::40]) if isinstance(s, Structure)]
    for smarts in ("c1ccncc1", "[#6]S(=O)(=O)N", "C=CC(=O)", "[F,Cl,Br]c", "[R]@[N+]", "[C@H](O)C", "[2H]"):
        pattern, needed = Chem.MolFromSmarts(smarts), int.from_bytes(structure.pattern_screen(smarts), "big")
        screened = [s for s in found if needed & ~int.from_bytes(s.pattern_fingerprint, "big") == 0]
        expected = [s.inchikey for s in found if Chem.MolFromSmiles(s.parent_smiles).HasSubstructMatch(pattern)]
        assert list(structure.substructure(smarts, [(s.inchikey, s.parent_smiles) for s in screened])) == expected


@pytest.mark.parametrize("smarts", ["", "C(", "not a pattern"])
def test_an_unreadable_pattern_is_refused(smarts: str) -> None:
    with pytest.raises(QueryError, match="is not a SMARTS pattern"):
        structure.substructure(smarts, [])


def test_pictures_are_svg_or_png() -> None:
    assert b"<svg" in structure.picture(VORINOSTAT)
    assert structure.picture(VORINOSTAT, "png").startswith(b"\x89PNG")


def test_pictures_of_nothing_are_refused() -> None:
    with pytest.raises(ConfigError, match="give svg or png"):
        structure.picture("CCO", "gif")
    with pytest.raises(DataError, match="cannot be drawn"):
        structure.picture("C1CC")


@pytest.mark.parametrize(
    ("salt", "parent"),
    [
        ("[Na+].[O-]C(=O)c1ccccc1", "OC(=O)c1ccccc1"),
        ("CC(=O)[O-].[K+].O", "CC(=O)O"),
        ("[Ca+2].CC(O)C([O-])=O.CC(O)C([O-])=O", "CC(O)C(=O)O"),
        ("[NH4+].CC([O-])=O", "CC(=O)O"),
        ("C[N+](C)(C)CCO.[Cl-]", "C[N+](C)(C)CCO"),
    ],
)
def test_a_parent_whose_parts_are_all_salts_loses_its_counter_ions(salt: str, parent: str) -> None:
    one, other = structure.standardise(salt), structure.standardise(parent)
    assert one.parent_inchikey == other.parent_inchikey and one.inchikey != other.inchikey


@pytest.mark.parametrize("salt", ["[Li+].[Cl-]", "[Li+].[O-]C(=O)c1ccccc1", "[Na+].[Cl-]", "[Na+].OC([O-])=O"])
def test_lithium_and_what_is_nothing_but_ions_stay(salt: str) -> None:
    assert "." in structure.standardise(salt).parent_smiles
