"""Provenance in the language of Graphviz, for those who have it."""

from __future__ import annotations

import json

from populate.provenance.drawing import DASHES, FILLS, LINES
from populate.provenance.graph import Edge, Node, Provenance


def dot(provenance: Provenance) -> str:
    """Return the graph for ``dot -Tpdf`` and its like."""
    nodes = (_node(node) for node in provenance.nodes)
    edges = (_edge(edge) for edge in provenance.edges)
    head = ("digraph provenance {", "  rankdir=LR;", '  node [style=filled, fontname="sans-serif"];')
    return "\n".join([*head, *nodes, *edges, "}"]) + "\n"


def _node(node: Node) -> str:
    shape = "box" if node.kind in ("bytes", "code") else "ellipse"
    label = f"{node.name}\n{node.detail}" if node.detail else node.name
    look = f"label={_text(label)}, shape={shape}, fillcolor={_text(FILLS[node.kind])}"
    return f"  {_text(node.node_id)} [{look}];"


def _edge(edge: Edge) -> str:
    style = "dashed" if edge.evidence in DASHES else "solid"
    when = f"\n{edge.at:%Y-%m-%d %H:%M}" if edge.at else ""
    label = f"{edge.relation} ({edge.evidence}){when}"
    look = f"label={_text(label)}, color={_text(LINES[edge.evidence])}, style={style}"
    return f"  {_text(edge.source)} -> {_text(edge.target)} [{look}];"


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
