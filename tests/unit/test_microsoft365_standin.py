"""Parts of the stand-in for Microsoft 365 that need no server."""

from __future__ import annotations

import base64
import json

from servers.microsoft365.contents import Content, quick_xor
from servers.microsoft365.samples import FOLDER, samples


def test_the_hash_is_the_vendors() -> None:
    vectors = json.loads((FOLDER / "hash-vectors" / "quickxorhash.json").read_bytes())
    assert len(vectors) == 70
    for vector in vectors:
        assert quick_xor(base64.b64decode(vector["data_base64"])) == vector["quickXorHash"]


def test_bytes_follow_from_their_seed() -> None:
    assert Content(seed=5, length=1000).data() == Content(seed=5, length=1000).data()
    assert Content(seed=5, length=1000).data() != Content(seed=6, length=1000).data()
    assert (Content(seed=5, length=1000).size, Content(b"abc").size) == (1000, 3)


def test_every_sample_is_in_the_index() -> None:
    files = {str(path.relative_to(FOLDER)) for path in FOLDER.glob("*/*")}
    assert files == samples().keys()
