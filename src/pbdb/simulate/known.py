"""What simulated releases plant: real drugs, real genes, and which drugs move which genes.

The effects are plausible, not measured: each mechanism has a set of well-known genes with a largest log2 fold
change, reached by dose along a Hill curve.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Drug:
    """A drug: structure, what it does, and the dose (uM) of half its effect. cas, smiles: None = not told."""

    name: str
    mechanism: str
    ec50_um: float
    smiles: str
    cas: str


@dataclass(frozen=True)
class Gene:
    """A human gene: symbol of Ensembl 98, chromosome, Ensembl id."""

    symbol: str
    chromosome: str
    gene_id: str


INERT = "inert"

DRUGS = tuple(
    Drug(*row)
    for row in (
        ("bortezomib", "proteasome", 0.03, "CC(C)C[C@H](NC(=O)[C@H](Cc1ccccc1)NC(=O)c1cnccn1)B(O)O", "179324-69-7"),
        ("vorinostat", "hdac", 1.0, "ONC(=O)CCCCCCC(=O)Nc1ccccc1", "149647-78-9"),
        ("doxorubicin", "dna_damage", 0.2,
         "COc1cccc2C(=O)c3c(O)c4C[C@](O)(C[C@H](O[C@H]5C[C@H](N)[C@H](O)[C@H](C)O5)c4c(O)c3C(=O)c12)C(=O)CO",
         "23214-92-8"),
        ("simvastatin", "statin", 0.8,
         "CCC(C)(C)C(=O)O[C@H]1C[C@@H](C)C=C2C=C[C@H](C)[C@H](CC[C@@H]3C[C@@H](O)CC(=O)O3)[C@@H]12", "79902-63-9"),
        ("dexamethasone", "glucocorticoid", 0.02,
         "C[C@@H]1C[C@H]2[C@@H]3CCC4=CC(=O)C=C[C@]4(C)[C@@]3(F)[C@@H](O)C[C@]2(C)[C@@]1(O)C(=O)CO", "50-02-2"),
        ("trametinib", "mek", 0.01,
         "CC(=O)Nc1cccc(c1)N1C(=O)N(C2CC2)C(=O)C2=C(Nc3ccc(I)cc3F)N(C)C(=O)C(C)=C12", "871700-17-3"),
        ("palbociclib", "cdk", 0.3, "CC(=O)C1=C(C)c2cnc(Nc3ccc(cn3)N3CCNCC3)nc2N(C2CCCC2)C1=O", "571190-30-2"),
        ("dactolisib", "pi3k", 0.05, "CN1C(=O)N(c2ccc(cc2)C(C)(C)C#N)c2c1cnc1ccc(cc21)-c1cnc2ccccc2c1", "915019-65-7"),
        ("aspirin", INERT, 1.0, "CC(=O)Oc1ccccc1C(=O)O", "50-78-2"),
        ("JQ1", "bet", 0.2, "Cc1sc2c(c1C)C(=N[C@@H](CC(=O)OC(C)(C)C)c1nnc(C)n12)c1ccc(Cl)cc1", "1268524-70-4"),
        ("colchicine", "tubulin", 0.02, "COc1cc2CC[C@H](NC(C)=O)c3cc(=O)c(OC)ccc3-c2c(OC)c1OC", "64-86-8"),
        ("sulforaphane", "nrf2", 2.0, "CS(=O)CCCCN=C=S", "4478-93-7"),
        ("MG-132", "proteasome", 0.5,
         "CC(C)C[C@H](NC(=O)OCc1ccccc1)C(=O)N[C@@H](CC(C)C)C(=O)N[C@@H](CC(C)C)C=O", "133407-82-6"),
        ("panobinostat", "hdac", 0.02, "Cc1[nH]c2ccccc2c1CCNCc1ccc(/C=C/C(=O)NO)cc1", "404950-80-7"),
        ("camptothecin", "dna_damage", 0.05,
         "CC[C@@]1(O)C(=O)OCC2=C1C=C1N(CC3=CC4=CC=CC=C4N=C13)C2=O", "7689-03-4"),
        ("atorvastatin", "statin", 1.0,
         "CC(C)c1c(C(=O)Nc2ccccc2)c(-c2ccccc2)c(-c2ccc(F)cc2)n1CC[C@@H](O)C[C@@H](O)CC(=O)O", "134523-00-5"),
        ("hydrocortisone", "glucocorticoid", 0.2,
         "C[C@]12C[C@H](O)[C@H]3[C@@H](CCC4=CC(=O)CC[C@]34C)[C@@H]1CC[C@]2(O)C(=O)CO", "50-23-7"),
        ("selumetinib", "mek", 0.1, "Cn1cnc2c(F)c(Nc3ccc(Br)cc3Cl)c(cc12)C(=O)NOCCO", "606143-52-6"),
        ("ribociclib", "cdk", 0.5, "CN(C)C(=O)c1cc2cnc(Nc3ccc(cn3)N3CCNCC3)nc2n1C1CCCC1", "1211441-98-3"),
        ("buparlisib", "pi3k", 0.5, "Nc1cc(C(F)(F)F)c(cn1)-c1cc(nc(n1)N1CCOCC1)N1CCOCC1", "944396-07-0"),
        ("ibuprofen", INERT, 1.0, "CC(C)Cc1ccc(cc1)C(C)C(O)=O", "15687-27-1"),
        ("acetaminophen", INERT, 1.0, "CC(=O)Nc1ccc(O)cc1", "103-90-2"),
        ("nocodazole", "tubulin", 0.1, "COC(=O)Nc1nc2ccc(cc2[nH]1)C(=O)c1cccs1", "31430-18-9"),
        ("dimethyl fumarate", "nrf2", 5.0, "COC(=O)/C=C/C(=O)OC", "624-49-7"),
        ("ixazomib", "proteasome", 0.1, "CC(C)C[C@H](NC(=O)CNC(=O)c1cc(Cl)ccc1Cl)B(O)O", "1072833-77-2"),
        ("belinostat", "hdac", 0.5, "ONC(=O)/C=C/c1cccc(S(=O)(=O)Nc2ccccc2)c1", "414864-00-9"),
        ("etoposide", "dna_damage", 1.0,
         "COc1cc(cc(OC)c1O)[C@H]1[C@@H]2[C@H](COC2=O)[C@H](O[C@@H]2O[C@@H]3CO[C@@H](C)O[C@H]3[C@H](O)[C@H]2O)"
         "c2cc3OCOc3cc12", "33419-42-0"),
        ("lovastatin", "statin", 1.0,
         "CC[C@H](C)C(=O)O[C@H]1C[C@@H](C)C=C2C=C[C@H](C)[C@H](CC[C@@H]3C[C@@H](O)CC(=O)O3)[C@@H]12", "75330-75-5"),
        ("prednisolone", "glucocorticoid", 0.1,
         "C[C@]12C[C@H](O)[C@H]3[C@@H](CCC4=CC(=O)C=C[C@]34C)[C@@H]1CC[C@]2(O)C(=O)CO", "50-24-8"),
        ("erlotinib", "mek", 1.0, "COCCOc1cc2ncnc(Nc3cccc(c3)C#C)c2cc1OCCOC", "183321-74-6"),
        ("abemaciclib", "cdk", 0.2, "CCN1CCN(Cc2ccc(Nc3ncc(F)c(n3)-c3cc(F)c4nc(C)n(C(C)C)c4c3)nc2)CC1",
         "1231929-97-7"),
        ("alpelisib", "pi3k", 1.0, "Cc1nc(NC(=O)N2CCC[C@H]2C(N)=O)sc1-c1ccnc(c1)C(C)(C)C(F)(F)F", "1217486-61-7"),
        ("caffeine", INERT, 1.0, "Cn1cnc2c1c(=O)n(C)c(=O)n2C", "58-08-2"),
        ("entinostat", "hdac", 1.0, "Nc1ccccc1NC(=O)c1ccc(CNC(=O)OCc2cccnc2)cc1", "209783-80-2"),
        ("methotrexate", "dna_damage", 0.05,
         "CN(Cc1cnc2nc(N)nc(N)c2n1)c1ccc(cc1)C(=O)N[C@@H](CCC(=O)O)C(=O)O", "59-05-2"),
        ("fluorouracil", "dna_damage", 3.0, "O=c1[nH]cc(F)c(=O)[nH]1", "51-21-8"),
        ("gefitinib", "mek", 1.0, "COc1cc2ncnc(Nc3ccc(F)c(Cl)c3)c2cc1OCCCN1CCOCC1", "184475-35-2"),
        ("lapatinib", "mek", 1.5,
         "CS(=O)(=O)CCNCc1ccc(o1)-c1ccc2ncnc(Nc3ccc(OCc4cccc(F)c4)c(Cl)c3)c2c1", "231277-92-2"),
        ("fluvastatin", "statin", 0.5,
         "CC(C)n1c(/C=C/[C@@H](O)C[C@@H](O)CC(=O)O)c(-c2ccc(F)cc2)c2ccccc12", "93957-54-1"),
        ("metformin", INERT, 1.0, "CN(C)C(=N)NC(N)=N", "657-24-9"),
    )
)  # fmt: skip

GENES = tuple(
    Gene(*row.split())
    for row in """
    HMOX1 22 ENSG00000100292
    HSPA1B 6 ENSG00000204388
    HSPA6 1 ENSG00000173110
    DNAJB1 19 ENSG00000132002
    ZFAND2A 7 ENSG00000178381
    CRYAB 11 ENSG00000109846
    BAG3 10 ENSG00000151929
    HSPH1 13 ENSG00000120694
    ATF3 1 ENSG00000162772
    DDIT3 12 ENSG00000175197
    SQSTM1 5 ENSG00000161011
    CDKN1A 6 ENSG00000124762
    MDM2 12 ENSG00000135679
    GDF15 19 ENSG00000130513
    BTG2 1 ENSG00000159388
    SESN1 6 ENSG00000080546
    HMGCS1 5 ENSG00000112972
    HMGCR 5 ENSG00000113161
    LDLR 19 ENSG00000130164
    INSIG1 7 ENSG00000186480
    SQLE 8 ENSG00000104549
    FKBP5 6 ENSG00000096060
    TSC22D3 X ENSG00000157514
    PER1 17 ENSG00000179094
    KLF9 9 ENSG00000119138
    ZBTB16 11 ENSG00000109906
    DUSP6 12 ENSG00000139318
    SPRY2 13 ENSG00000136158
    SPRY4 5 ENSG00000187678
    ETV4 17 ENSG00000175832
    ETV5 3 ENSG00000244405
    EGR1 5 ENSG00000120738
    CCND1 11 ENSG00000110092
    MYC 8 ENSG00000136997
    HEXIM1 17 ENSG00000186834
    NQO1 16 ENSG00000181019
    GCLM 1 ENSG00000023909
    TXNRD1 12 ENSG00000198431
    SRXN1 20 ENSG00000271303
    CCNB1 5 ENSG00000134057
    PLK1 16 ENSG00000166851
    CDC20 1 ENSG00000117399
    MCM2 3 ENSG00000073111
    MCM6 2 ENSG00000076003
    CDC6 17 ENSG00000094804
    E2F1 20 ENSG00000101412
    RRM2 2 ENSG00000171848
    KLHL24 3 ENSG00000114796
    PIK3IP1 22 ENSG00000100100
    IRS2 13 ENSG00000185950
    H1F0 22 ENSG00000189060
    ACTB 7 ENSG00000075624
    GAPDH 12 ENSG00000111640
    """.strip().splitlines()
)

MECHANISMS: dict[str, dict[str, float]] = {
    "proteasome": {
        "HSPA1B": 5.5, "HSPA6": 6.0, "DNAJB1": 4.2, "HMOX1": 4.6, "ZFAND2A": 4.0, "CRYAB": 4.4, "BAG3": 3.5,
        "HSPH1": 3.0, "ATF3": 3.6, "DDIT3": 2.5, "SQSTM1": 1.8,
    },
    "hdac": {"H1F0": 3.2, "CDKN1A": 2.4, "HEXIM1": 1.2, "CCND1": -1.8, "MYC": -1.5, "KLF9": 1.6},
    "dna_damage": {"CDKN1A": 3.2, "MDM2": 2.8, "GDF15": 3.0, "BTG2": 2.4, "SESN1": 2.0, "CCNB1": -1.6, "PLK1": -1.4},
    "statin": {"HMGCS1": 2.8, "HMGCR": 2.4, "LDLR": 2.2, "INSIG1": 2.9, "SQLE": 2.3},
    "glucocorticoid": {"FKBP5": 3.4, "TSC22D3": 3.0, "PER1": 2.5, "KLF9": 2.0, "ZBTB16": 4.0},
    "mek": {
        "DUSP6": -4.0, "SPRY2": -2.4, "SPRY4": -3.2, "ETV4": -3.0, "ETV5": -3.1, "EGR1": -2.8, "CCND1": -1.6,
        "MYC": -1.0,
    },
    "cdk": {"MCM2": -2.2, "MCM6": -2.0, "CDC6": -2.6, "E2F1": -2.5, "RRM2": -2.8, "CCNB1": -1.8, "CCND1": 1.4},
    "pi3k": {"KLHL24": 2.2, "PIK3IP1": 2.6, "IRS2": 2.8, "CCND1": -1.4, "HMGCS1": -1.2, "LDLR": -1.0},
    "bet": {"HEXIM1": 2.0, "MYC": -2.4, "CCND1": -1.2, "H1F0": 1.4},
    "tubulin": {"CCNB1": 2.2, "PLK1": 2.0, "CDC20": 2.3, "CDKN1A": 1.2, "EGR1": 1.8},
    "nrf2": {"HMOX1": 3.8, "NQO1": 2.2, "GCLM": 2.4, "TXNRD1": 2.3, "SRXN1": 2.8},
    INERT: {},
}  # fmt: skip
