"""Rows made by hand: a small database whose every number a test can know."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, text

from pbdb.database import partitions, signature_rows


def insert(connection: Connection, table: str, *rows: dict[str, Any]) -> None:
    """Insert rows into a table of schema core, or of the dataset's generation; dictionaries become JSON."""
    for row in rows:
        place = _place(connection, table, row)
        plain = {key: json.dumps(value) if isinstance(value, dict) else value for key, value in row.items()}
        columns, places = ", ".join(plain), ", ".join(f":{key}" for key in plain)
        connection.execute(text(f"INSERT INTO {place} ({columns}) VALUES ({places})"), plain)


def _place(connection: Connection, table: str, row: dict[str, Any]) -> str:
    if table not in partitions.PARTITIONED:
        return f"core.{table}"
    generation = partitions.current(connection, row["dataset_id"])
    assert generation is not None
    return partitions.partition(table, generation)


def add_dataset(connection: Connection, dataset_id: int, dataset: str, **terms: object) -> None:
    """Add a dataset, measured by an assay that all of them share."""
    connection.execute(text("INSERT INTO core.assay VALUES (1, 'DRUG-seq', 'counts') ON CONFLICT DO NOTHING"))
    words = dict.fromkeys(("source", "title", "license", "citation"), dataset) | {"release": "1", "access": "open"}
    insert(connection, "dataset", {"dataset_id": dataset_id, "dataset": dataset, "assay_id": 1} | words | terms)


def add_partitions(connection: Connection, dataset_id: int, tables: Iterable[str] = ()) -> None:
    """Give a dataset a generation of empty partitions, into which rows then go."""
    generation = partitions.new_generation(connection)
    names = {
        table: partitions.create_standalone(connection, table, dataset_id, generation)
        for table in tables or partitions.PARTITIONED
    }
    for table, name in names.items():
        partitions.finish(connection, table, name)
    partitions.attach(connection, dataset_id, generation, names)
    partitions.make_current(connection, dataset_id, generation)


def add_signatures(connection: Connection) -> None:
    """Copy the signatures of all datasets to where search reads them, as a load does."""
    rows = connection.execute(text("SELECT dataset_id, generation FROM core.generation WHERE is_current")).all()
    for dataset_id, generation in rows:
        signature_rows.replace(connection, dataset_id, generation)


NAN = float("nan")
LOG2_FC, SE, NEG_LOG10_P, NEG_LOG10_P_ADJ = [1.5, NAN, -2.0], [0.5, NAN, 0.25], [3.0, NAN, 400.0], [2.0, NAN, 399.0]


def add_genes(connection: Connection) -> None:
    """Genes 1 to 4; the fits of `add_world` test the first three."""
    for key, symbol in enumerate(("HMOX1", "HSPA6", "TP53", "CRYAB"), start=1):
        gene = {"gene_key": key, "gene_id": f"ENSG{key:011d}", "symbol": symbol, "status": "current"}
        insert(connection, "gene", gene)


def add_world(connection: Connection, base: int, dataset: str, **terms: object) -> None:
    """A dataset with keys from `base` on: vehicle, vorinostat (shared by all worlds) and a compound of its own.

    In context CVCL:0001, shared too, vorinostat has an effect (key base + 61) and the other compound a status; a
    second context, of the dataset's own, has a condition without fit. Wells base + 43 and base + 44 also have effects
    of their own (base + 63 and base + 64).
    """
    add_dataset(connection, base, dataset, **terms)
    add_partitions(connection, base)
    _add_identity(connection, base)
    _add_reference(connection, base, bool(terms.get("is_redistributable")))
    _add_samples(connection, base)
    _add_effects(connection, base)
    run = {
        "source": "made",
        "dataset": dataset,
        "release": "1",
        "stage": "publish",
        "status": "done",
        "fingerprint": "f",
    }
    rest = {"inputs": {}, "dropped": {}, "report": {}, "seconds": 1, "peak_mb": 1, "code_version": "0"}
    insert(connection, "etl_run", run | rest)
    insert(connection, "artifact", {"dataset": dataset, "kind": "x", "path": dataset, "n_bytes": 1, "sha256": "0"})


def _add_identity(connection: Connection, base: int) -> None:
    shared = text(
        "INSERT INTO core.compound (compound_id, inchikey, name) VALUES (1, 'WAE', 'vorinostat') ON CONFLICT DO NOTHING"
    )
    connection.execute(shared)
    insert(connection, "compound", {"compound_id": base, "inchikey": f"KEY{base}", "name": f"drug {base}"})
    for key, name, compound, route in (
        (10, "DMSO", None, "unresolved"),
        (11, "SAHA", 1, "structure"),
        (12, "X", base, "name"),
    ):
        given = {"source_compound_id": base + key, "dataset_id": base, "source_key": f"k{key}", "name": name}
        insert(connection, "source_compound", given | {"compound_id": compound, "resolved_by": route})
    annotation = {"source_compound_id": base + 12, "kind": "moa", "value": f"moa of {base}", "origin": "sheet"}
    insert(connection, "compound_annotation", {"annotation_id": base + 15} | annotation)
    for key, name in ((1, "CVCL:0001"), (base, f"CVCL:{base}")):
        connection.execute(
            text(
                "INSERT INTO core.context (context_id, context, context_name, kind, organism)"
                " VALUES (:key, :name, :name, 'cell_line', 'human') ON CONFLICT DO NOTHING"
            ),
            {"key": key, "name": name},
        )


def _add_reference(connection: Connection, base: int, is_redistributable: bool) -> None:
    """What a reference table says of the compound of the dataset; open datasets share one, closed ones another."""
    key = 2 if is_redistributable else 3
    release = {"vocabulary_id": key, "kind": f"reference {key}", "terms": is_redistributable}
    connection.execute(
        text(
            "INSERT INTO core.vocabulary (vocabulary_id, kind, release, origin, sha256, n_rows, is_redistributable)"
            " VALUES (:vocabulary_id, :kind, '1', 'made', '0', 1, :terms) ON CONFLICT DO NOTHING"
        ),
        release,
    )
    row = {"reference_annotation_id": base + 16, "vocabulary_id": key, "parent_key": f"KEY{base}"}
    insert(connection, "reference_annotation", row | {"kind": "target", "value": f"target of {base}"})


def _add_samples(connection: Connection, base: int) -> None:
    insert(connection, "plate", {"plate_id": base + 20, "dataset_id": base, "plate": f"plate {base}"})
    for key, compound, context, dose_fm in (
        (31, 10, 1, 0),
        (32, 11, 1, 10**9),
        (33, 12, 1, 10**10),
        (34, 12, base, 10**9),
    ):
        where = {"condition_id": base + key, "dataset_id": base, "source_compound_id": base + compound}
        what = {"context_id": context, "dose_fm": dose_fm, "time_h": 24, "is_vehicle": dose_fm == 0, "n_samples": 2}
        insert(connection, "condition", where | what)
    for key, condition, compound, dose_fm in (
        (41, 31, 10, 0),
        (42, 31, 10, 0),
        (43, 32, 11, 10**9),
        (44, 32, 11, 10**9),
        (45, 33, 12, 10**10),
    ):
        flags = ["low_counts"] if key == 45 else []
        who = {"sample_id": base + key, "dataset_id": base, "source_sample": f"w{base + key}", "plate_id": base + 20}
        what = {"condition_id": base + condition, "source_compound_id": base + compound, "context_id": 1}
        dose = {"dose_fm": dose_fm, "time_h": 24, "is_vehicle": dose_fm == 0, "in_fit": not flags, "flags": flags}
        insert(connection, "sample", who | what | dose)


def _add_effects(connection: Connection, base: int) -> None:
    insert(connection, "feature_set", {"feature_set_id": base + 50, "n_genes": 3, "gene_keys": [1, 2, 3]})
    for key, mode, effects in ((51, "pooled", [base + 61]), (52, "replicate", [base + 63, base + 64])):
        columns = {"effect_ids": effects, "condition_ids": [base + 32] * len(effects)}
        what = {"fit_id": base + key, "dataset_id": base, "context_id": 1, "method": "voom", "mode": mode}
        facts = dict.fromkeys(("n_samples", "n_vehicle", "n_plates", "n_components", "n_genes_in"), 4)
        how = {"filter_rule": "floor", "parameters": {}, "report": {}, "code_version": "0"} | columns
        fitted = {"feature_set_id": base + 50, "is_default": mode == "pooled", "ave_expr": [5.0, 4.0, NAN], "sigma": SE}
        insert(connection, "fit", what | facts | how | fitted)
    roles = ((41, "vehicle"), (42, "vehicle"), (43, "treated"), (44, "treated"))
    insert(
        connection,
        "fit_sample",
        *({"fit_id": base + f, "sample_id": base + key, "role": role} for f in (51, 52) for key, role in roles),
    )
    arrays = {"log2_fc": LOG2_FC, "se": SE, "neg_log10_p": NEG_LOG10_P, "neg_log10_p_adj": NEG_LOG10_P_ADJ}
    for key, fit, condition, sample in ((61, 51, 32, None), (62, 51, 33, None), (63, 52, 32, 43), (64, 52, 32, 44)):
        where = {"dataset_id": base, "effect_id": base + key, "fit_id": base + fit, "condition_id": base + condition}
        facts = dict.fromkeys(("n_treated", "n_vehicle", "n_plates", "n_vehicle_same_plates"), 2)
        found = {"status": "no_sample"} if key == 62 else {"status": "ok"} | arrays
        insert(connection, "effect", where | facts | found | {"sample_id": sample and base + sample})
    for index in range(3):
        gene = {"dataset_id": base, "gene_key": index + 1, "fit_id": base + 51}
        insert(
            connection,
            "gene_effect",
            gene | {name: [values[index]] for name, values in arrays.items()},
        )


def add_match(connection: Connection, a: int, b: int) -> None:
    """Match vorinostat of two worlds, with an agreement, a summary, and a split over both."""
    pair = {"dataset_id_a": a, "dataset_id_b": b}
    sides = {"condition_id_a": a + 32, "condition_id_b": b + 32, "effect_id_a": a + 61, "effect_id_b": b + 61}
    rule = {"inchikey_level": "inchikey", "compound_key": "WAE", "time_tolerance_h": 0, "dose_fold": 1}
    key = a * b
    insert(connection, "match", {"match_id": key, "tie_block_size": 1, "n_shared_compounds": 1} | pair | sides | rule)
    peers = {"n_source_peers": 0, "n_source_centroid": 0, "is_capped": False, "parameters_id": key}
    statistic = {"metric": "spearman_log2_fc", "n": 3, "score": 1} | peers
    insert(connection, "agreement", {"match_id": key, "n_target_peers": 0, "n_target_centroid": 0} | statistic)
    for base in (a, b):
        known = text(f"SELECT 1 FROM core.replicate_agreement WHERE dataset_id = {base}")
        if connection.execute(known).first() is None:
            own = {"condition_id": base + 32, "dataset_id": base, "n_pairs": 1}
            insert(connection, "replicate_agreement", own | statistic)
    counts = dict.fromkeys(("n_matches", "n_defined", "n_units", "n_compounds"), 1)
    summary = {"agreement_summary_id": key, "interval_status": "degenerate", "quantity": "score", "parameters": {}}
    how = {"inchikey_level": "inchikey", "time_tolerance_h": 0, "dose_window": 10, "code_version": "0"}
    named = {"metric": "spearman_log2_fc", "parameters_id": key}
    insert(connection, "agreement_summary", summary | counts | pair | how | named)
    split = {"split_id": a + b, "split": f"split {a + b}", "kind": "compound", "parameters": {}, "code_version": "0"}
    insert(connection, "split", split)
    members = ({"split_id": a + b, "condition_id": base + 32, "fold": "test"} for base in (a, b))
    insert(connection, "split_member", *members)


def add_learning(connection: Connection, number: int, datasets: list[str]) -> None:
    """A model that was learnt from datasets, with vectors of all compounds there are, and an evaluation."""
    about = {"datasets": datasets, "parameters": {}, "code_version": "0"}
    model = {"model_id": number, "model": f"model {number}", "kind": "lowrank", "n_dimensions": 2, "learnt_from": {}}
    insert(connection, "embedding_model", model | about | {"cosine_levels": [0.0], "cosine_quantiles": [0.0] * 5})
    vectors = """INSERT INTO core.compound_embedding
        SELECT DISTINCT :key, coalesce(parent_inchikey, inchikey), CAST('[1,2]' AS vector), 0.9, 1, 1, 1, false
        FROM core.compound"""
    connection.execute(text(vectors), {"key": number})
    names = {"evaluation": "e", "task": "transfer", "evaluated_on": "all", "learner": "mean", "statistic": "skill"}
    counts = dict.fromkeys(("n_test_conditions", "n_test_compounds", "n_repeats"), 1)
    facts = {"evaluation_id": number, "quantity": "score", "interval_status": "degenerate"}
    insert(connection, "evaluation", facts | names | counts | about)
