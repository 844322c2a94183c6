"""What people and catalogues read of a snapshot: README.md, CITATION.cff, croissant.json."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from pbdb.common.rows import Json, Row
from pbdb.exports.snapshots.arrow_schemas import table_of
from pbdb.exports.snapshots.manifest_shape import Manifest

HOME = "https://arxiv.org/abs/2605.31522"
PARQUET = "application/x-parquet"
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def readme(manifest: Manifest) -> str:
    """How to use the snapshot, and under which terms."""
    rows = "\n".join(_terms(dataset) for dataset in manifest["datasets"])
    by_name = manifest["included_by_name"]
    warning = (
        f"\n**Not to be passed on**: the terms of {', '.join(by_name)} do not allow it; they were included by name.\n"
        if by_name
        else ""
    )
    return README.format(release=manifest["release"], rows=rows, warning=warning, made=manifest["created_at"][:10])


def _terms(dataset: Row) -> str:
    title, license, citation = (str(dataset[name]).replace("|", "/") for name in ("title", "license", "citation"))
    return f"| `{dataset['dataset']}` | {title} | {dataset['release']} | {license} | {citation} |"


def citation(manifest: Manifest) -> str:
    """CITATION.cff: the snapshot, and every dataset in it as a reference."""
    lines = [
        "cff-version: 1.2.0",
        'message: "Please cite this release, and the datasets you use."',
        "type: dataset",
        'title: "pbdb: harmonised small-molecule perturbation transcriptomics"',
        f"version: {json.dumps(manifest['release'])}",
        f"date-released: {manifest['created_at'][:10]}",
        "authors:",
        '  - name: "The authors of pbdb"',
        "references:",
    ]
    return "\n".join([*lines, *(line for dataset in manifest["datasets"] for line in _reference(dataset))]) + "\n"


def _reference(dataset: Row) -> Iterator[str]:
    yield "  - type: data"
    yield f"    title: {json.dumps(dataset['title'], ensure_ascii=False)}"
    yield f"    version: {json.dumps(dataset['release'], ensure_ascii=False)}"
    yield "    authors:"
    yield f"      - name: {json.dumps(dataset['citation'], ensure_ascii=False)}"
    for key, name in (("doi", "doi"), ("homepage", "url"), ("license", "notes")):
        if dataset[key]:
            yield f"    {name}: {json.dumps(dataset[key], ensure_ascii=False)}"


def croissant(manifest: Manifest, schemas: Mapping[str, pa.Schema]) -> Json:
    """Croissant 1.0 (ML Commons, JSON-LD): every Parquet file of a table or view, and the effects as one file set.

    schemas: of the files to describe, by path; of effects by the folder's name.
    """
    hashes = {file["path"]: file["sha256"] for file in manifest["files"]}
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": "pbdb",
        "description": "Small-molecule perturbation transcriptomics of many technologies, harmonised: compounds, cells,"
        " samples, conditions and the differential expression of every condition.",
        "version": manifest["release"],
        "datePublished": manifest["created_at"][:10],
        "license": sorted({str(dataset["license"]) for dataset in manifest["datasets"]}),
        "url": HOME,
        "citeAs": "; ".join(sorted({str(dataset["citation"]) for dataset in manifest["datasets"]})),
        "creator": {"@type": "sc:Organization", "name": "The authors of pbdb"},
        "distribution": [_distribution(path, hashes) for path in schemas],
        "recordSet": [_record_set(path, schema) for path, schema in schemas.items()],
    }


def _distribution(path: str, hashes: Mapping[str, str]) -> Json:
    common = {"@id": path, "name": path, "encodingFormat": PARQUET}
    if path in hashes:
        return common | {"@type": "cr:FileObject", "contentUrl": path, "sha256": hashes[path]}
    return common | {"@type": "cr:FileSet", "includes": f"{path}/*/*/*.parquet"}


def _record_set(path: str, schema: pa.Schema) -> Json:
    name = path.removesuffix(".parquet")
    words = (schema.metadata or {}).get(b"description", b"").decode()
    record_set = {
        "@type": "cr:RecordSet",
        "@id": f"records/{name}",
        "name": f"records/{name}",
        "description": words,
        "field": [_field(path, name, field) for field in schema],
    }
    key = _key(name)
    return record_set | ({"key": [{"@id": f"records/{name}/{column}"} for column in key]} if key else {})


def _key(name: str) -> Sequence[str]:
    folder, _, table = name.partition("/")
    return [column.name for column in table_of(table).primary_key] if folder == "core" else ()


def _field(path: str, name: str, field: pa.Field) -> Json:
    is_list = pa.types.is_list(field.type)
    kind = field.type.value_type if is_list else field.type
    reference = {"fileObject" if path.endswith(".parquet") else "fileSet": {"@id": path}}
    described = {
        "@type": "cr:Field",
        "@id": f"records/{name}/{field.name}",
        "name": field.name,
        "description": (field.metadata or {}).get(b"description", b"").decode(),
        "dataType": _data_type(kind),
        "source": reference | {"extract": {"column": field.name}},
    }
    return described | ({"repeated": True} if is_list else {})


def _data_type(kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    if pa.types.is_integer(kind):
        return "sc:Integer"
    if pa.types.is_floating(kind):
        return "sc:Float"
    return "sc:DateTime" if pa.types.is_timestamp(kind) else "sc:Text"


README = """# pbdb, release {release}

Small-molecule perturbation transcriptomics of many technologies, harmonised: compounds by InChIKey, cells by
Cellosaurus and Cell Ontology id, exact doses, samples, and the differential expression of every condition. Made on
{made}. What every table and column means: `dictionary.md`; what was computed how, and the hash of every file:
`manifest.json`; how to cite: `CITATION.cff`.
{warning}
| data set | title | release | license | citation |
|---|---|---|---|---|
{rows}

## Open it

Everything that can be asked of the PostgreSQL database can be asked of `pbdb.duckdb`, by the same names:

```python
import pbdb

db = pbdb.connect("path/to/this/folder")
db.sql("SELECT * FROM condition_effect WHERE compound_name = %(name)s", {{"name": "vorinostat"}})
```

With any other DuckDB client, say first where the files are (or start it in this folder):

```sql
SET file_search_path = 'path/to/this/folder';
ATTACH 'path/to/this/folder/pbdb.duckdb' AS pbdb (READ_ONLY); USE pbdb;
SELECT * FROM condition_effect WHERE compound_name = 'vorinostat';
```

## The files

| where | what |
|---|---|
| `effect/dataset=*/context=*/*.parquet` | default fits: one row per condition, statistics as lists over genes |
| `further_effect/...` | other fits, in the same columns: other methods, single wells |
| `effect_long/...` | one row per condition and gene (where the release has that layout) |
| `core/*.parquet` | the tables, as they are in PostgreSQL; `core/feature_set.parquet` has the genes behind the lists |
| `view/*.parquet` | readable views of them |
| `samples/*.h5ad` | counts or intensities of samples, AnnData (where the release has them) |

Lists of an effect are aligned with `gene_keys` of its `feature_set_id`; a gene that could not be estimated is NaN. The
folders are hive partitions: DuckDB, Spark, Trino, Polars and Arrow read `effect/` as one table with the columns
`dataset` and `context`. Columns carry their description and unit as Arrow field metadata.

## Verify it

```
sha256sum --check --quiet SHA256SUMS        # with nothing but coreutils
pbdb snapshot verify path/to/this/folder    # files too many or missing, and pbdb.duckdb
```

From inside DuckDB, `SELECT * FROM snapshot_damage` names the Parquet files that are missing or changed; no row, no
damage (each file is read whole: it takes as much memory as the largest). `pbdb.duckdb` itself is not in SHA256SUMS, for
`pbdb snapshot reindex` makes it anew from the other files.

## Load it

`pbdb snapshot load path/to/this/folder` fills an empty PostgreSQL database with everything that is here.
"""
