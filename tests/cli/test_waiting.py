"""What a user who waits, mistypes or presses <Tab> gets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import call

from pbdb.cli.shell import heartbeat

SAYS = """
import sys, time
from pbdb.cli.shell import heartbeat
from pbdb.cli.common import TerminalReporter
heartbeat.SECONDS_IN_PIPE = 0.5
with heartbeat.beating(["vocab", "import", "repurposing_hub"]), TerminalReporter() as reporter:
    time.sleep(2.5)
    reporter.progress("structures", 1200, 5000)
    time.sleep(2.5)
"""
HEAVY = ("numba", "anndata", "duckdb", "rdkit", "h5py", "scipy")
LOOKED_AT = """
import json, sys
sys.argv = ["pbdb", *json.loads(sys.argv[1])]
from pbdb.cli import main
code = 0
try:
    main()
except SystemExit as end:
    code = end.code
print(json.dumps([code, sorted(sys.modules)]))
"""


def _python(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("PBDB_")}
    return subprocess.run([sys.executable, *words], env=own | variables, capture_output=True, text=True, check=False)


def test_a_pipe_gets_lines_that_say_what_runs_and_how_far_it_is() -> None:
    said = _python("-c", SAYS).stderr.splitlines()
    assert said[0].startswith("pbdb vocab import: at work for ")
    assert said[-1].startswith("structures: 1,200 of 5,000, ")


@pytest.mark.parametrize("words", [["serve", "--port", "1"], ["db", "psql"]])
def test_who_has_the_terminal_is_left_alone(words: list[str]) -> None:
    with heartbeat.beating(words):
        assert heartbeat._beating == []


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("etl load drugsek", "did you mean 'drugseq'"),
        ("etl show drugsek", "did you mean 'drugseq'"),
        ("effects run nothing", "'nothing' is not loaded"),
        ("export anndata --dataset nothing --out x", "no dataset 'nothing'"),
        ("export gctx --context nothing --out x.gctx", "no context 'nothing'"),
        ("export shards --split nothing --out x", "no split 'nothing'"),
        ("export fingerprints --include nothing --out x.fps", "no dataset 'nothing'"),
        ("embed train --dataset nothing --out x", "no dataset 'nothing'"),
        ("evaluate holdout --split nothing", "no split 'nothing'"),
    ],
)
def test_a_wrong_name_fails_before_what_takes_long_to_import(demo_home: Path, words: str, named: str) -> None:
    done = _python("-c", LOOKED_AT, json.dumps(words.split()), PBDB_HOME=str(demo_home))
    code, modules = json.loads(done.stdout.splitlines()[-1])
    assert code == 1 and named in done.stderr
    assert [name for name in HEAVY if name in modules] == []


def test_a_load_with_nothing_to_do_waits_for_nothing_that_takes_long_to_import(demo_home: Path) -> None:
    words = ["etl", "load", "drugseq", "--from", str(demo_home / "release")]
    done = _python("-c", LOOKED_AT, json.dumps(words), PBDB_HOME=str(demo_home))
    code, modules = json.loads(done.stdout.splitlines()[-1])
    assert code == 0 and "is up to date, nothing to do" in done.stderr
    assert [name for name in HEAVY if name in modules] == []


def test_no_declaration_imports_what_takes_long() -> None:
    code = "import json, sys; from pbdb.sources import registry\n"
    code += "for key in registry.known(): registry.get(key)\nprint(json.dumps(sorted(sys.modules)))"
    modules = json.loads(_python("-c", code).stdout)
    assert "pbdb.etl.tahoe" in modules
    assert [name for name in HEAVY if name in modules] == []


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("pbdb etl load dr", {"driad", "drugseq"}),
        ("pbdb etl load cigs --dataset cigs_", {"cigs_mce", "cigs_tcm"}),
        ("pbdb export anndata --dataset dr", {"drugseq"}),
        ("pbdb etl status dr", {"driad", "drugseq"}),
    ],
)
def test_a_shell_completes_names(demo_home: Path, line: str, offered: set[str]) -> None:
    asked = {"_PBDB_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
    done = _python("-m", "pbdb.cli", PBDB_HOME=str(demo_home), **asked)
    assert {name.removeprefix("plain,") for name in done.stdout.split()} == offered


@pytest.mark.parametrize("query", ["-- what is here?\nSELECT 1 AS one", "--what is here?\nSELECT 1 AS one"])
def test_a_query_may_begin_with_a_comment(demo_home: Path, query: str) -> None:
    assert json.loads(call(demo_home, "sql", query, "--json", check=True).stdout) == [{"one": 1}]


def test_an_option_that_is_none_is_still_refused(demo_home: Path) -> None:
    assert "No such option" in call(demo_home, "sql", "--frmat").stderr
