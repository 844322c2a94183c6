"""The API over both engines: every view, filters, pages, files, and refusals in sentences."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from serving import client_of

import pbdb
from pbdb.common.settings import Settings
from pbdb.database import views
from pbdb.serve import api, catalog, pages, rendering
from pbdb.serve.app import open_place
from pbdb.serve.place import Place
from pbdb.serve.site import Site

V1 = "/api/v1"


def rows(client: httpx.Client, address: str) -> list[dict[str, Any]]:
    found = client.get(f"{V1}/{address}")
    assert found.status_code == 200, found.text
    listed: list[dict[str, Any]] = found.json()["rows"]
    return listed


def examples_of(place: Place) -> list[tuple[catalog.View, str]]:
    with place.reading() as reading:
        return pages.examples(Site(place, {}), reading)


@pytest.fixture(scope="module")
def effect(client: httpx.Client) -> dict[str, Any]:
    return rows(client, "effect.json?compound_name=bortezomib&is_default=true&_sort_desc=n_up&_size=1")[0]


def test_every_view_of_the_database_is_served(client: httpx.Client) -> None:
    made = {path.stem.split("_", 1)[1] for path in views.files() if "CREATE VIEW pbdb." in path.read_text()}
    assert made - set(catalog.KEYS) == set(), "give the new view its key in serve/catalog.py"
    assert set(catalog.KEYS) == {view["name"] for view in client.get(f"{V1}/").json()["views"]}


def test_every_example_of_the_page_runs(client: httpx.Client, place: Place) -> None:
    examples = examples_of(place)
    page = client.get("/api").text
    assert len(examples) > 30
    not_there = {"split", "split_member", "similar_compounds", "replicate_effect", "replicate_agreement"}
    not_there |= {
        "acts_like",
        "compound_embedding",
        "embedding_model",
        "further_effect",
        "evaluation",
    }  # no model was trained
    for view, address in examples:
        assert view.name in page
        found = client.get(address)
        assert found.status_code == 200, (address, found.text)
        assert found.json()["rows"] or view.name in not_there, address


def test_both_engines_give_one_text(demo: tuple[Settings, Path], cache: Path) -> None:
    settings, folder = demo
    places = [open_place(None, settings, False), open_place(folder, settings, False)]
    with client_of(places[0], cache) as one, client_of(places[1], cache) as two:
        for view, address in examples_of(places[0]):
            if view.name not in ("neighbours", "similar_compounds"):  # computed, so equal to the last digit but one
                as_csv = address.replace(".json", ".csv")
                assert one.get(address).json()["rows"] == two.get(address).json()["rows"], address
                assert one.get(as_csv).content == two.get(as_csv).content
    for place in places:
        place.close()


@pytest.mark.parametrize("sort", ["", "&_sort=n_up", "&_sort_desc=dose_um", "&_sort_desc=stratum"])
def test_pages_of_keys_give_every_row_once(client: httpx.Client, sort: str) -> None:
    every = rows(client, f"effect.json?mode=pooled&_size=10000&_columns=effect_id{sort}")
    address: str | None = f"{V1}/effect.json?mode=pooled&_size=97&_columns=effect_id{sort}"
    found: list[dict[str, Any]] = []
    while address:
        answer = client.get(address)
        found += answer.json()["rows"]
        address = answer.links["next"]["url"] if "next" in answer.links else None
        assert (address is None) == (answer.json()["next"] is None)
    assert found == every
    assert len({row["effect_id"] for row in found}) == len(found) > 200


@pytest.mark.parametrize(
    ("asked", "holds"),
    [
        ("dose_um__gte=5", lambda row: row["dose_um"] >= 5),
        ("dose_um__lt=5", lambda row: row["dose_um"] < 5),
        ("dataset__ne=screen_one", lambda row: row["dataset"] != "screen_one"),
        ("dataset__in=screen_one,screen_two", lambda row: row["dataset"] in ("screen_one", "screen_two")),
        ("compound_name__contains=STATIN", lambda row: "statin" in row["compound_name"]),
        ("stratum__isnull=true", lambda row: row["stratum"] is None),
        ("is_default=true", lambda row: row["is_default"] is True),
    ],
)
def test_filters(client: httpx.Client, asked: str, holds: Any) -> None:
    every = rows(client, "effect.json?_size=10000")
    assert rows(client, f"effect.json?_size=10000&{asked}") == [row for row in every if holds(row)] != []


def test_files_hold_what_json_shows(client: httpx.Client, effect: dict[str, Any]) -> None:
    query = f"effect_id={effect['effect_id']}&_columns=gene_id,log2_fc,p_adj&_sort_desc=log2_fc"
    shown = rows(client, f"condition_effect.json?{query}&_size=10000")
    found = {kind: client.get(f"{V1}/condition_effect.{kind}?{query}") for kind in ("csv", "arrow", "parquet")}
    as_csv = list(csv.DictReader(io.StringIO(found["csv"].text)))
    assert [row["gene_id"] for row in as_csv] == [row["gene_id"] for row in shown]
    assert [float(row["log2_fc"]) for row in as_csv] == [row["log2_fc"] for row in shown]
    arrow = pa.ipc.open_stream(found["arrow"].content).read_all()
    parquet = pq.read_table(io.BytesIO(found["parquet"].content))
    assert arrow.equals(parquet)
    assert arrow["gene_id"].to_pylist() == [row["gene_id"] for row in shown]
    assert "fold change" in arrow.schema.field("log2_fc").metadata[b"description"].decode()
    assert {row["dataset"] for row in json.loads(arrow.schema.metadata[b"terms"])} >= {"screen_one"}
    assert found["csv"].headers["x-truncated"] == "false"
    assert f"condition_effect_{effect['effect_id']}" in found["csv"].headers["content-disposition"]


def test_a_file_says_that_it_was_cut(client: httpx.Client) -> None:
    found = client.get(f"{V1}/gene.csv?_size=5")
    assert found.headers["x-truncated"] == "true"
    assert len(found.text.splitlines()) == 6


def test_a_long_file_comes_in_parts_and_whole(client: httpx.Client) -> None:
    query = "compound_name=bortezomib&_columns=effect_id,gene_id"
    text = client.get(f"{V1}/condition_effect.csv?{query}").text
    listed = [tuple(row.values()) for row in csv.DictReader(io.StringIO(text))]
    assert len(set(listed)) == len(listed) > 10_000


REFUSED = [
    ("effect.json?dose_um=abc", 400, "'abc' is no number value"),
    ("effect.json?effect_id=100000000000000000000", 400, "is no integer value"),
    ("effect.json?compound_name=%00", 400, "NUL"),
    ("effect.json?dose_um=nan", 400, "no number"),
    ("effect.json?compund_name=x", 400, "did you mean 'compound_name'?"),
    ("effect.json?dose_um__lk=1", 400, "There is no operator 'lk'"),
    ("effect.json?_sort=effect_id;DROP", 400, "cannot be sorted by"),
    ("effect.json?_columns=effect_id,1", 400, "no column '1'"),
    ("effect.json?_size=0", 400, "give 1 to"),
    ("effect.json?_size=10001", 400, "give 1 to"),
    ("effect.json?_next=x", 400, "_next does not belong"),
    ("effect.json?_where=1", 400, "There is no option '_where'"),
    ("condition_effect.json", 400, "filter it by effect_id or condition_id"),
    ("condition_effect.json?effect_id__gt=1", 400, "filter it by"),
    ("gene_response.csv", 400, "filter it by gene_id or gene_symbol"),
    ("sample.json?attributes=1", 400, "filter it by"),
    ("condition.json?attributes=1", 400, "holds json values"),
    ("nothing.json", 404, "There is no view 'nothing'"),
    ("effect.xml", 404, "There is no format 'xml'"),
    ("pg_roles.json", 404, "There is no view"),
    ("neighbours.json", 400, "neighbours needs 'effect'"),
    ("neighbours.json?effect=1&n=100000", 400, "give 1 to"),
    ("strongest_conditions.json?gene=HMOX1&direction=sideways", 400, "give up or down"),
    ("compound/nonsense", 404, "No compound is called 'nonsense'"),
    ("compound/bortezomb", 404, "there are 'bortezomib'"),
    ("drawing.svg?inchikey=x", 404, "No structure"),
    ("drawing.svg?smiles=nonsense", 400, "RDKit cannot read"),
    ("structure?smiles=C&how=magic", 400, "makes no sense"),
    ("structure?smiles=[&how=contains", 400, "not a SMARTS pattern"),
    ("structure?smiles=" + "C" * 2001, 400, "2000 characters"),
    ("signature?up=", 400, "None of the genes is a landmark"),
    ("signature?up=HMOX1&down=HMOX1", 400, "asked for up and down"),
    ("signature?effect=99999999999999999999", 400, "makes no sense"),
    ("signature?up=" + ",".join(f"g{n}" for n in range(2001)), 400, "too many"),
    ("suggest", 400, "makes no sense"),
]


@pytest.mark.parametrize(("address", "status", "words"), REFUSED, ids=[address[:60] for address, *_ in REFUSED])
def test_refusals_are_sentences(client: httpx.Client, address: str, status: int, words: str) -> None:
    found = client.get(f"{V1}/{address}")
    assert (found.status_code, words in found.json()["detail"]) == (status, True), found.text
    assert found.headers["content-type"] == "application/problem+json"
    assert "Traceback" not in found.text


@pytest.mark.parametrize("text", ["' OR 1=1 --", "'; DROP TABLE core.gene; --", "%s %(x)s", "\\", "${1}", "a" * 2000])
def test_values_stay_values(client: httpx.Client, text: str) -> None:
    for column in ("compound_name", "compound_name__contains", "dataset__in"):
        found = client.get(f"{V1}/effect.json", params={column: text})
        assert found.json()["rows"] == [], text
    assert rows(client, "gene.json?_size=1")


def test_an_answer_that_is_known_is_not_sent_again(client: httpx.Client) -> None:
    first = client.get(f"{V1}/dataset.json")
    again = client.get(f"{V1}/dataset.json", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = client.get(f"{V1}/dataset.json?_size=1", headers={"If-None-Match": first.headers["etag"]})
    assert other.status_code == 200


def test_openapi_describes_every_view_in_the_words_of_the_catalog(client: httpx.Client) -> None:
    found = client.get("/openapi.json").json()
    for name in catalog.KEYS:
        assert f"{V1}/{name}.{{format}}" in found["paths"]
    (dose,) = [p for p in found["paths"][f"{V1}/effect.{{format}}"]["get"]["parameters"] if p["name"] == "dose_um"]
    assert "icromolar" in dose["description"]
    assert found["info"]["version"]


def test_signature_of_an_effect_finds_the_compound_in_other_conditions(
    client: httpx.Client, effect: dict[str, Any]
) -> None:
    found = client.get(f"{V1}/signature?effect={effect['effect_id']}&n=20").json()
    assert found["hits"][0]["compound_name"] == "bortezomib"
    assert found["hits"][0]["similarity"] > found["floor"] > 0
    assert len(found["by_compound"]) < len(found["hits"])


def test_signature_lists_may_be_long(client: httpx.Client) -> None:
    genes = [row["gene_symbol"] for row in rows(client, "gene.json?is_landmark=true&_size=900&_columns=gene_symbol")]
    found = client.post(f"{V1}/signature", json={"up": ",".join(genes[:400]), "down": ",".join(genes[400:800])})
    assert len(found.json()["landmarks"]) == 800


def test_structures(client: httpx.Client) -> None:
    near = client.get(f"{V1}/structure?smiles=CC(=O)Nc1ccc(O)cc1&n=3").json()["compounds"]
    assert near[0]["tanimoto"] >= near[1]["tanimoto"] > 0
    rings = client.get(f"{V1}/structure?smiles=c1ccccc1&how=contains&n=200").json()["compounds"]
    assert 0 < len(rings) < len(rows(client, "compound.json?_size=1000"))
    drawn = client.get(f"{V1}/drawing.svg?inchikey={near[0]['inchikey']}")
    assert drawn.headers["content-type"] == "image/svg+xml"
    assert b"<path" in drawn.content


def test_home_counts_by_data_set_where_there_are_many_kinds_of_cells(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [row for row in rows(client, "coverage.json") if row["dataset"] == "screen_two"]
    conditions = sum(row["n_conditions"] for row in cells)
    few = client.get("/").text
    monkeypatch.setitem(rendering.TEMPLATES.globals, "most_columns", 1)
    many = client.get("/?many").text
    line = f'<a href="/dataset/screen_two">screen_two</a></th><td class="number">{len(cells)}</td>'
    assert line not in few
    assert f'{line}\n<td class="number">{conditions:,}</td>' in many


def test_names_are_suggested_by_synonym_and_id(client: httpx.Client) -> None:
    def kinds(text: str) -> list[tuple[str, str]]:
        return [(n["kind"], n["label"]) for n in client.get(f"{V1}/suggest", params={"q": text}).json()["names"]]

    assert kinds("hmox1")[0] == ("gene", "HMOX1")
    assert kinds("ENSG00000100292") == [("gene", "HMOX1")]
    assert kinds("bortez") == [("compound", "bortezomib")]
    assert kinds("GXJABQQUPOEUTA-RDJZCZTQSA-N") == [("compound", "bortezomib")]
    assert kinds("") == []


def test_compound_as_the_command_shows_it(client: httpx.Client) -> None:
    found = client.get(f"{V1}/compound/bortezomib").json()
    assert found["compounds"][0]["inchikey"] == "GXJABQQUPOEUTA-RDJZCZTQSA-N"
    assert {row["dataset"] for row in found["conditions"]} >= {"screen_one", "screen_two"}


def test_only_known_hosts_are_answered(client: httpx.Client) -> None:
    assert client.get("/healthz", headers={"Host": "evil.example"}).status_code == 400
    for name in ("127.0.0.1:8000@evil.example", "127.0.0.1.evil.example", "[::1]:8000"):
        assert client.get("/healthz", headers={"Host": name}).status_code == 400


def test_too_much_is_refused_before_it_is_read(client: httpx.Client) -> None:
    assert client.post(f"{V1}/signature", content=b"x" * 300_000).status_code == 413
    assert client.get(f"{V1}/suggest?q={'x' * 62_000}").status_code == 413


def test_nothing_can_be_written(client: httpx.Client) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert client.request(method, f"{V1}/effect.json").status_code == 405


def test_facts_of_the_release(client: httpx.Client, place: Place) -> None:
    found = client.get(f"{V1}/release").json()
    assert found["release"] == ("live" if place.is_database else "2026.1")
    assert all(row["license"] for row in found["datasets"])
    assert api.PREFIX == V1


def test_the_clients_of_the_documentation_run(client: httpx.Client, root: Path) -> None:
    text = (root / "docs" / "api.md").read_text(encoding="utf-8")
    base = f"{client.base_url}".rstrip("/")
    found: dict[str, Any] = {}
    (code,) = re.findall(r"```python\n(.*?)```", text, re.S)
    assert len(code.splitlines()) <= 16
    exec(code.replace("http://127.0.0.1:8000", base), found)
    assert {row["compound_name"] for row in found["effects"]} == {"vorinostat"}
    ranked, of_compound = re.findall(r"curl 'http://127.0.0.1:8000(.*?)'", text)
    assert len(client.get(ranked).text.splitlines()) == 11
    assert "vorinostat" in client.get(of_compound).text
    for address in re.findall(r'paste0\(base, "(/[^"]*)"', text):
        id_of = str(found["effects"][0]["effect_id"]) if address.endswith("=") else ""
        assert len(client.get(f"{V1}{address}{id_of}").text.splitlines()) > 5


@pytest.mark.parametrize(
    ("address", "n"), [("/gene/HMOX1", 3), ("/compound/bortezomib", 2), ("/compound/bortezomib?wells=1", 4)]
)
def test_what_the_buttons_copy_gives_what_is_shown(
    demo: tuple[Settings, Path], client: httpx.Client, address: str, n: int
) -> None:
    page = client.get(address, follow_redirects=True).text
    copied = [html.unescape(text) for text in re.findall(r'data-copy="([^"]*)"', page)]
    statements = [text for text in copied if text.startswith("SELECT")]
    assert len(statements) == n
    database, snapshot = pbdb.connect(demo[0]), pbdb.connect(demo[1])
    for statement in statements:
        rows_of = [place.sql(statement).to_dict("records") for place in (database, snapshot)]
        assert len(rows_of[0]) == len(rows_of[1]) > 0
    assert max(len(database.sql(statement)) for statement in statements) > 3
    for code in (text for text in copied if text.startswith("import pbdb")):
        compile(code, "copied", "exec")


def test_a_heat_map_shows_what_is_known_and_names_what_is_not(client: httpx.Client) -> None:
    asked = {"compounds": "vorinostat\nbortezomib\njq1\nnothing", "genes": "HMOX1,MYC,HSPA1B,CDKN1A"}
    page = client.get("/heatmap", params=asked).text
    assert "4 genes in the strongest condition of 3 compounds" in page
    assert '<strong dir="auto">nothing</strong>' in page
    spec = json.loads(re.findall(r'data-for="heat">(.*?)</script>', page, re.S)[0])
    columns = [label.split(",")[0] for label in spec["encoding"]["x"]["sort"]]
    assert sorted(columns) == ["bortezomib", "jq1", "vorinostat"]
    assert sorted(spec["encoding"]["y"]["sort"]) == ["CDKN1A", "HMOX1", "HSPA1B", "MYC"]
    assert len(spec["data"]["values"]) == 12


@pytest.mark.parametrize("address", ["/gene/HMOX1", "/compound/bortezomib", "/heatmap?compounds=jq1&genes=MYC"])
def test_figures_are_json(client: httpx.Client, address: str) -> None:
    page = client.get(address, follow_redirects=True).text
    found = re.findall(r"data-for=.*?>(.*?)</script>", page, re.S)
    assert found
    for spec in found:
        assert {"data", "layer", "mark", "spec"} & json.loads(spec).keys()
