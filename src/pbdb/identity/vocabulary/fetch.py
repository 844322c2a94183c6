"""Fetch pinned releases of vocabularies from their providers, and import them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pbdb.common.errors import VocabularyError
from pbdb.common.progress import Progress, silent
from pbdb.common.settings import Settings
from pbdb.identity.vocabulary import releases
from pbdb.sources import fetch as files
from pbdb.sources.declaration import File

RELEASE = "{release}"


@dataclass(frozen=True)
class Provided:
    """What a provider offers: the release we pin, the folder and the files of any release, the pinned hashes.

    RELEASE in base, folder and files stands for the release. name: what the release is called once imported; None:
    as its files say. many: the files are tables of one dump, imported as a folder.
    """

    release: str
    base: str
    files: tuple[str, ...]
    name: str | None = None
    folder: str = RELEASE
    many: bool = False
    sha256: str | None = None


PROVIDED = {
    "genes": Provided(
        "115",
        "https://ftp.ensembl.org/pub/release-{release}/mysql/homo_sapiens_core_{release}_38",
        tuple(
            f"{table}.txt.gz"
            for table in ("gene", "xref", "seq_region", "external_synonym", "stable_id_event", "gene_archive")
        ),
        name="Ensembl {release}",
        folder="homo_sapiens_core_{release}_38",
        many=True,
    ),
    "hgnc": Provided(
        "2026-07-07",
        "https://storage.googleapis.com/public-download-files/hgnc/archive/archive/quarterly/tsv",
        ("hgnc_complete_set_{release}.txt",),
        name="HGNC {release}",
    ),
    "landmarks": Provided(
        "GSE92742",
        "https://ftp.ncbi.nlm.nih.gov/geo/series/GSE92nnn/GSE92742/suppl",
        ("GSE92742_Broad_LINCS_gene_info.txt.gz",),
        name="GSE92742",
        sha256="741216ccc53320119b47ab006de3bcad48963c57087c9e07f50f0d6cd088711a",
    ),
    # Its provider keeps the newest release only; the file says which that is.
    "cellosaurus": Provided("newest", "https://ftp.expasy.org/databases/cellosaurus", ("cellosaurus.txt",)),
    "cell_ontology": Provided(
        "2025-04-10",
        "https://github.com/obophenotype/cell-ontology/releases/download/v{release}",
        ("cl.obo",),
    ),
}


def fetch(
    settings: Settings,
    kind: str,
    release: str | None = None,
    mirror: str | None = None,
    progress: Progress = silent,
) -> releases.Outcome:
    """Fetch a release (the pinned one, unless another is named) and import it; what is there is not fetched again.

    mirror: address of a folder that holds the same files, in place of the provider's.

    Raises:
        VocabularyError: nobody provides this kind, or a file is not what it should be.
        SourceError: a file cannot be fetched, or differs from its record.
    """
    provided = PROVIDED.get(kind)
    if provided is None:
        raise VocabularyError(
            f"{kind} cannot be fetched: give one of {', '.join(PROVIDED)}, or import a file.", value=kind
        )
    wanted = release or provided.release
    folder = settings.downloads / "vocab" / kind / provided.folder.replace(RELEASE, wanted)
    base = (mirror or provided.base.replace(RELEASE, wanted)).rstrip("/")
    names = [name.replace(RELEASE, wanted) for name in provided.files]
    located = [_download(provided, wanted, base, name, folder, settings, progress) for name in names]
    called = provided.name.replace(RELEASE, wanted) if provided.name else None
    return releases.import_files(settings, kind, folder if provided.many else located, called)


def _download(
    provided: Provided, wanted: str, base: str, name: str, folder: Path, settings: Settings, progress: Progress
) -> Path:
    pinned = provided.sha256 if wanted == provided.release else None
    file = File(name, read=Path, url=f"{base}/{name}", sha256=pinned)
    advice = "get the file yourself and run `pbdb vocab import`"
    return files.download(file, folder, settings, advice, progress).path
