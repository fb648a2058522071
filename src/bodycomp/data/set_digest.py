"""The digest of a training set: which one a model was trained or evaluated on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

WHOLE_FILE_BYTES: Final = 256 * 2**20
SAMPLED_CHUNKS: Final = 256
CHUNK_BYTES: Final = 2**20


def data_digest(data_dir: Path, files: Iterable[Path], contents: Mapping[str, bytes]) -> str:
    """Return a SHA-256 over names, sizes and contents of a training set's files.

    Files above 256 MiB are read at 256 evenly spaced places of 1 MiB, first and last included.

    ``contents`` are digests of further contents that were read already, by name.
    """
    digest = hashlib.sha256()
    for name, content in sorted(contents.items()):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    for path in sorted(files):
        size = path.stat().st_size
        digest.update(f"{path.relative_to(data_dir).as_posix()}\0{size}\0".encode())
        with path.open("rb") as stream:
            if size <= WHOLE_FILE_BYTES:
                while chunk := stream.read(CHUNK_BYTES):
                    digest.update(chunk)
                continue
            for index in range(SAMPLED_CHUNKS):
                stream.seek((size - CHUNK_BYTES) * index // (SAMPLED_CHUNKS - 1))
                digest.update(stream.read(CHUNK_BYTES))
    return digest.hexdigest()
