"""What provenance is drawn and exported as."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from jsonschema import Draft4Validator, Draft202012Validator, FormatChecker
from referencing import Registry, Resource

from populate.provenance.dot import dot
from populate.provenance.drawing import DOWN, HEIGHT, WIDTH, layers, places, svg
from populate.provenance.graph import Edge, Node, Provenance
from populate.provenance.openlineage import events
from populate.provenance.prov import document

SCHEMAS = Path(__file__).parents[1] / "data/openlineage"
SVG = "{http://www.w3.org/2000/svg}"
ODD = '<script>"&\N{GREEK SMALL LETTER BETA} of a name that is far too long for any box.csv'


def content(number: int, name: str) -> Node:
    facts = {"file_id": f"{number}", "sha256": f"{number}" * 64, "source_system": "file/lab", "path": f"/d/{name}"}
    return Node(f"bytes:{number}", "bytes", name, "sha256:…", facts)


def run(digit: str, person: str) -> Node:
    facts = {
        "execution_id": digit * 32,
        "entry_point": "/code/run.py",
        "person": person,
        "started_at": "2026-05-04T08:00:00",
    }
    return Node(f"run:{digit}", "run", "run.py", f"by {person}", facts)


@pytest.fixture
def chain() -> Provenance:
    """Two people's runs one after the other; the second run also reads what it wrote."""
    at = datetime(2026, 5, 4, 9)
    code = {"repository": "https://git.example.org/lab/flow.git", "commit_id": "c" * 40}
    nodes = (
        content(1, ODD),
        content(2, "result.csv"),
        content(3, "report.txt"),
        run("a", "Bob"),
        run("b", "Colin"),
        Node("code:1", "code", "flow", "commit cccc", code),
        Node("person:1", "person", "Amy", "", {"person_id": "1"}),
    )
    edges = (
        Edge("person:1", "bytes:1", "shared", "shared", None, "with Bob (read)"),
        Edge("code:1", "run:a", "code", "recorded", at),
        Edge("bytes:1", "run:a", "read", "read", at),
        Edge("run:a", "bytes:2", "wrote", "declared", at.replace(minute=5, microsecond=7)),
        Edge("bytes:2", "run:b", "read", "read", at.replace(hour=10)),
        Edge("run:b", "bytes:3", "wrote", "met", at.replace(hour=11)),
        Edge("bytes:3", "run:b", "read", "read", at.replace(hour=11)),
    )
    return Provenance("whence", ("bytes:3",), nodes, edges, cut=True)


def validator(name: str, pointer: str) -> Any:
    """Return a validator of the published schema that resolves what it refers to, and fetches nothing."""
    schemas = [json.loads(path.read_text()) for path in sorted(SCHEMAS.glob("*.json"))]
    registry: Any = Registry().with_resources((each["$id"], Resource.from_contents(each)) for each in schemas)
    (wanted,) = (each["$id"] for each in schemas if each["$id"].endswith(f"/{name}.json"))
    return Draft202012Validator({"$ref": f"{wanted}#{pointer}"}, registry=registry, format_checker=FormatChecker())


def test_openlineage_events_are_valid_and_say_what_ran(chain: Provenance) -> None:
    found = events(chain)
    for event in found:
        validator("OpenLineage", "").validate(event)
        validator("OpenLineage", "/$defs/RunEvent").validate(event)
    facet = found[0]["job"]["facets"]["sourceCodeLocation"]
    validator("SourceCodeLocationJobFacet", "/$defs/SourceCodeLocationJobFacet").validate(facet)
    assert (facet["_schemaURL"].partition("#")[0], facet["version"]) == (
        validator("SourceCodeLocationJobFacet", "").schema["$ref"].partition("#")[0],
        "c" * 40,
    )
    ends = [event for event in found if event["eventType"] == "COMPLETE"]
    assert [len(found), len(ends)] == [4, 2]
    first, last = ends
    assert first["eventTime"] == "2026-05-04T09:05:00.000007Z"
    assert first["run"]["runId"] == "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"
    assert [data["name"] for data in first["outputs"]] == [data["name"] for data in last["inputs"]][:1]
    version = first["outputs"][0]["facets"]["version"]
    validator("DatasetVersionDatasetFacet", "/$defs/DatasetVersionDatasetFacet").validate(version)
    assert version["datasetVersion"] == f"sha256:{'2' * 64}"
    assert (first["job"]["name"], last["job"]) == ("run.py", {"namespace": "unknown", "name": "run.py"})


@pytest.mark.parametrize(
    ("started", "repository", "name"),
    [
        ("/home/anna/flow/steps/run.py", "https://git.example.org/lab/flow.git", "steps/run.py"),
        ("C:\\Users\\bob\\code\\flow\\flow\\steps.py", "git@git.example.org:flow", "flow/steps.py"),
        ("/home/anna/flow", "https://git.example.org/lab/flow", "flow"),  # a script, not the folder
        ("/home/anna/copy/run.py", "https://git.example.org/lab/flow", "run.py"),
        ("-m flow.steps", "https://git.example.org/lab/flow", "-m flow.steps"),
        ("", "https://git.example.org/lab/flow", "unknown"),
    ],
)
def test_a_job_is_known_by_its_script_and_not_by_whose_checkout_was_run(
    started: str, repository: str, name: str
) -> None:
    node = run("a", "Anna")
    code = Node("code:1", "code", "flow", "", {"repository": repository, "commit_id": "c" * 40})
    nodes = (replace(node, facts={**node.facts, "entry_point": started}), code)
    begun, ended = events(Provenance("whither", (), nodes, (Edge("code:1", node.node_id, "code", "recorded", None),)))
    assert begun["job"]["name"] == ended["job"]["name"] == name


class Watched(tuple[Any, ...]):
    """A tuple that counts how often it is gone through."""

    turns = 0

    def __iter__(self) -> Any:
        self.turns += 1
        return super().__iter__()


def test_many_runs_go_through_all_edges_and_nodes_as_often_as_one(chain: Provenance) -> None:
    turns = []
    for more in (0, 50):
        others = (replace(chain.nodes[4], node_id=f"run:{number}") for number in range(more))
        watched = replace(chain, nodes=Watched((*chain.nodes, *others)), edges=Watched(chain.edges))
        assert len(events(watched)) == 4 + 2 * more
        turns.append((watched.nodes.turns, watched.edges.turns))  # type: ignore[attr-defined]
    assert turns[0] == turns[1]


def test_the_schema_refuses_what_is_no_event(chain: Provenance) -> None:
    event = events(chain)[0]
    for wrong in ({"eventType": "DONE"}, {"run": {"runId": "not a uuid"}}, {"job": {"name": "x"}}):
        assert not validator("OpenLineage", "/$defs/RunEvent").is_valid(event | wrong)


def test_prov_is_valid_and_every_name_in_it_is_one_that_it_describes(chain: Provenance) -> None:
    copied = Edge("bytes:1", "bytes:2", "copy", "met", datetime(2026, 5, 5))
    found = document(replace(chain, edges=(*chain.edges, copied)))
    published = json.loads((SCHEMAS.with_name("prov") / "prov-json.schema.json").read_text())
    valid = Draft4Validator(published, format_checker=FormatChecker())
    valid.validate(found)
    assert not valid.is_valid({**found, "used": {"_:1": {"prov:activity": "dp:run_a"}}})
    counts = {kind: len(records) for kind, records in found.items()}
    assert counts == {
        "prefix": 1,
        **{"entity": 4, "activity": 2, "agent": 3},
        **{"used": 3, "wasGeneratedBy": 2, "wasDerivedFrom": 1, "wasInfluencedBy": 1, "wasAssociatedWith": 2},
    }
    described = {name for kind in ("entity", "activity", "agent") for name in found[kind]}
    relations = [
        record for kind in found.keys() - {"prefix", "entity", "activity", "agent"} for record in found[kind].values()
    ]
    ends = {
        value
        for record in relations
        for name, value in record.items()
        if name.startswith("prov:") and name != "prov:time"
    }
    assert ends == described
    assert found["entity"]["dp:bytes_1"]["prov:label"] == ODD
    assert found["wasGeneratedBy"]["_:wrote2"] == {
        "prov:entity": "dp:bytes_2",
        "prov:activity": "dp:run_a",
        "prov:time": "2026-05-04T09:05:00.000007Z",
        "dp:evidence": "declared",
    }
    assert found["wasAssociatedWith"]["_:association0"]["prov:plan"] == "dp:code_1"
    assert found["activity"]["dp:run_b"]["prov:startTime"] == "2026-05-04T08:00:00.000000Z"


def test_data_go_from_left_to_right_and_boxes_do_not_overlap(chain: Provenance) -> None:
    column = layers(chain)
    assert [column[n] for n in ("bytes:1", "run:a", "bytes:2", "run:b", "bytes:3")] == [1, 2, 3, 4, 5]
    assert (column["person:1"], column["code:1"]) == (0, 1)
    boxes = sorted(places(chain).values())
    assert len(set(boxes)) == len(chain.nodes)
    for one, other in pairwise(boxes):
        assert other[0] - one[0] >= WIDTH or other[1] - one[1] >= HEIGHT + DOWN


def test_a_drawing_is_xml_with_every_text_escaped_and_the_same_each_time(chain: Provenance) -> None:
    drawing = svg(chain)
    assert drawing == svg(chain)
    tree = ElementTree.fromstring(drawing)
    assert tree.findtext(f"{SVG}title") == "Where report.txt comes from"
    assert not list(tree.iter(f"{SVG}script"))
    tips = [title.text or "" for title in tree.iter(f"{SVG}title")]
    assert any(ODD in tip for tip in tips)
    assert any("Amy \N{RIGHTWARDS ARROW}" in tip and "with Bob (read)" in tip for tip in tips)
    words = {text.text for text in tree.iter(f"{SVG}text")}
    assert {"result.csv", "declared", "met", "there is more than is shown"} <= words
    alone = Provenance("whither", ("bytes:2",), (content(2, "result.csv"),), ())
    assert ElementTree.fromstring(svg(alone)).findtext(f"{SVG}title") == "What became of result.csv"


def test_dot_quotes_every_text(chain: Provenance) -> None:
    lines = dot(chain).splitlines()
    assert lines[0] == "digraph provenance {"
    assert lines[-1] == "}"
    assert len(lines) == 4 + len(chain.nodes) + len(chain.edges)
    assert any('\\"&' in line for line in lines)
