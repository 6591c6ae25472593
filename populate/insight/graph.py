"""Departments and people as networkx graphs: the interface for whoever wants to compute further."""

from __future__ import annotations

from typing import Any

import networkx as nx
import pandas as pd

from populate.insight.publish import Published, published
from schemas.binding import Binding
from schemas.people import Account
from schemas.restrict import where
from schemas.sharing import ShareEdge


def silo_graph(snapshot_no: int, parameter: str = "standard") -> nx.DiGraph:
    """Return the departments of a snapshot with the working ties between them.

    Nodes carry the figures of a department, edges those of an ordered pair (ties, expected,
    ratio, z, flagged). Hidden departments and withheld pairs are left out.
    """
    graph = graph_of(published(snapshot_no, parameter))
    graph.graph["snapshot_no"] = snapshot_no
    return graph


def graph_of(shown: Published) -> nx.DiGraph:
    """Return what may be shown of silo measures as a graph."""
    graph = nx.DiGraph(sentence=shown.sentence)
    for row in _records(shown.departments):
        if row["department"] not in shown.hidden:
            graph.add_node(row.pop("department"), **row)
    if len(shown.pairs):
        for row in _records(shown.pairs.dropna(subset=["expected"])):
            if row["ties"] > 0:
                graph.add_edge(row.pop("giving"), row.pop("receiving"), **row)
    return graph


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def ego_graph(binding: Binding, person_id: str) -> nx.DiGraph:
    """Return a person with everybody data was exchanged with; edges carry the number of files."""
    graph = nx.DiGraph()
    graph.add_node(person_id)
    person_of = dict(zip(*Account.to_arrays("account_id", "person_id"), strict=True))
    for account in where(Account, person_id=person_id).to_arrays("account_id"):
        for side in ("producer_id", "consumer_id"):
            for row in where(ShareEdge, **{side: account}).proj().to_dicts():
                ends = person_of[row["producer_id"]], person_of[row["consumer_id"]]
                if ends[0] != ends[1]:
                    _count(graph, *ends, row["file_id"])
    return graph


def _count(graph: nx.DiGraph, producer: str, consumer: str, file_id: str) -> None:
    files: set[str] = graph.get_edge_data(producer, consumer, {"files": set()})["files"] | {file_id}
    graph.add_edge(producer, consumer, files=files, file_count=len(files))
