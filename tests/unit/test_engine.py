"""DataJoint without what it rarely needs, until it does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ASKED = """
import sys
import schemas.engine
assert "pandas" not in sys.modules and "pyarrow" not in sys.modules
from datajoint import condition, expression, table
assert not any(isinstance([{"a": 1}], module.pandas.DataFrame) for module in (condition, expression, table))
import deepdiff
assert deepdiff.DeepHash([1, "a"])[1] != deepdiff.DeepHash([2, "a"])[2]
assert "pandas" not in sys.modules
"""

MADE = """
frame = expression.pandas.DataFrame([{"a": 1}])
import pandas
assert type(frame) is pandas.DataFrame and frame["a"].tolist() == [1]
assert all(isinstance(frame, module.pandas.DataFrame) for module in (condition, expression, table))
assert not isinstance([], expression.pandas.DataFrame)
assert expression.pandas.isna is pandas.isna
"""

LOADED_BEFORE = """
import pandas
import schemas.engine
from datajoint import expression
assert expression.pandas is pandas
"""

BESIDE_ANOTHER_THREAD = """
import threading
end = threading.Event()
threading.Thread(target=end.wait).start()
try:
    import schemas.engine
    import pandas
    from datajoint import expression
    assert expression.pandas is pandas
finally:
    end.set()
"""


LATER = """
import sys
import data_platform.settings, schemas.engine
for name in ("asyncio", "networkx", "fsspec", "pyparsing", "cryptography.hazmat.primitives.serialization",
             "datajoint.dependencies"):
    assert name not in sys.modules, name
"""

GRAPH = """
import networkx
from datajoint import connection, table, dependencies
assert table.extract_master('"a"."b__c"') == dependencies.extract_master('"a"."b__c"') == '"a"."b"'
graph = connection.Dependencies(None)
graph.clear()
assert "x" not in graph and graph._made is not None
graph.add_edge("x", "y", key=("a",))
assert isinstance(graph._made, networkx.MultiDiGraph) and "x" in graph and [*graph.successors("x")] == ["y"]
assert [*networkx.MultiDiGraph(graph).edges(keys=True)] == [("x", "y", ("a",))]
graph.clear()
assert not list(graph.nodes)
"""

PARSED = """
from datajoint import declare
for kind in ("attribute", "foreign_key"):
    made, anew = getattr(declare, f"{kind}_parser"), getattr(declare, f"build_{kind}_parser")()
    for line in ("a_b = 3 : int # x", 'a = "x:#" : <blob@> # x', "a varchar(4)", "-> [nullable] A.proj(b='c')", "-> A"):
        told = []
        for parser in (made, anew):
            try:
                told.append(parser.parse_string(line + "#", parse_all=True).as_dict())
            except declare.pp.ParseException as error:
                told.append(str(error))
        assert told[0] == told[1]
assert declare.attribute_parser.parse_string("a : int # b").as_dict() == {"name": "a", "type": "int ", "comment": " b"}
import pyparsing
assert type(declare.build_attribute_parser()) is pyparsing.And and declare.pp.ParseException is pyparsing.ParseException
"""

OTHERS = """
from datajoint import storage
import asyncio, fsspec, pydantic_settings.main, pymysql._auth
from cryptography.hazmat.primitives import hashes, serialization
assert pydantic_settings.main.asyncio.run is asyncio.run
assert storage.fsspec.filesystem is fsspec.filesystem and storage.fsspec.FSMap is fsspec.FSMap
assert pymysql._auth.hashes.SHA1 is hashes.SHA1 and pymysql._auth._have_cryptography
assert pymysql._auth.serialization.load_pem_public_key is serialization.load_pem_public_key
"""


@pytest.mark.parametrize(
    "program", [LATER, LATER + GRAPH, LATER + PARSED, LATER + OTHERS, "import networkx, fsspec" + OTHERS]
)
def test_what_few_need_is_loaded_once_it_is_asked_for(program: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_plugin_of_pydantic_gets_what_it_imports(tmp_path: Path) -> None:
    (tmp_path / "impatient.py").write_text("""
from asyncio import Future
import asyncio.queues

class Plugin:
    def new_schema_validator(self, *arguments, **named):
        return None, None, None
plugin = Plugin()
""")
    about = tmp_path / "impatient-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: impatient\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[pydantic]\nimpatient = impatient:plugin\n")
    program = """
import data_platform.settings, sys, asyncio, pydantic_settings.main
assert sys.modules["impatient"].Future is asyncio.Future and asyncio.queues.Queue
assert pydantic_settings.main.asyncio.run is asyncio.run
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        # The command line, which wants none of them, may have been imported here.
        env={**os.environ, "PYTHONPATH": str(tmp_path), "PYDANTIC_DISABLE_PLUGINS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("program", [ASKED, ASKED + MADE, LOADED_BEFORE, BESIDE_ANOTHER_THREAD])
def test_pandas_is_loaded_once_a_data_frame_is_made(program: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
