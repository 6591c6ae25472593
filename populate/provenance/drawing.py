"""Provenance as a picture: layers from left to right as data went, drawn as SVG without any library."""

from __future__ import annotations

from collections import defaultdict
from html import escape

from populate.provenance.graph import EVIDENCE, Edge, Node, Provenance

WIDTH, HEIGHT = 190, 54
ACROSS, DOWN = 110, 26
MARGIN = 24
LEGEND = 36
LETTERS = 23
"""Letters that fit into a box; the rest is in its tooltip."""

FILLS = {"bytes": "#e8f1fb", "run": "#fdf3e1", "code": "#eef3ea", "person": "#f6eaf3"}
LINES = {"declared": "#1f6f43", "met": "#7a3fa0", "read": "#2463a8", "shared": "#b3386d", "recorded": "#8a8a8a"}
DASHES = {"met": "6 4", "recorded": "2 3"}
STYLE = "font-family: system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif"


def layers(provenance: Provenance) -> dict[str, int]:
    """Return the column of each node: right of everything that leads to it, and close to what it leads to.

    Edges that lead back, as where a run reads what it wrote, are left out of account.
    """
    following: dict[str, list[str]] = defaultdict(list)
    for edge in provenance.edges:
        following[edge.source].append(edge.target)
    order = _order(provenance, following)
    place = {node_id: position for position, node_id in enumerate(order)}
    column = dict.fromkeys(order, 0)
    for node_id in order:
        for target in following[node_id]:
            if place[target] > place[node_id]:
                column[target] = max(column[target], column[node_id] + 1)
    led_to = {edge.target for edge in provenance.edges}
    for node_id in order:  # people and code stand beside what they lead to
        if node_id not in led_to and (ahead := [column[t] for t in following[node_id] if place[t] > place[node_id]]):
            column[node_id] = max(0, min(ahead) - 1)
    return column


def _order(provenance: Provenance, following: dict[str, list[str]]) -> list[str]:
    """Return the nodes so that data go from earlier to later ones, where there is such an order."""
    order: list[str] = []
    done: set[str] = set()
    for node in provenance.nodes:
        stack = [(node.node_id, iter(following[node.node_id]))] if node.node_id not in done else []
        done.add(node.node_id)
        while stack:
            node_id, rest = stack[-1]
            ahead = next((target for target in rest if target not in done), None)
            if ahead is None:
                order.append(node_id)
                stack.pop()
            else:
                done.add(ahead)
                stack.append((ahead, iter(following[ahead])))
    return order[::-1]


def places(provenance: Provenance) -> dict[str, tuple[float, float]]:
    """Return where the upper left corner of each box is; a box stands near those that it is linked with."""
    columns: dict[int, list[str]] = defaultdict(list)
    for node_id, column in layers(provenance).items():
        columns[column].append(node_id)
    near: dict[str, list[str]] = defaultdict(list)
    for edge in provenance.edges:
        near[edge.source].append(edge.target)
        near[edge.target].append(edge.source)
    row = {node_id: float(place) for nodes in columns.values() for place, node_id in enumerate(sorted(nodes))}
    for sweep in range(8):
        for number in sorted(columns, reverse=bool(sweep % 2)):
            nodes = columns[number]
            means = {n: sum(row[o] for o in near[n]) / len(near[n]) if near[n] else row[n] for n in nodes}
            for place, node_id in enumerate(sorted(nodes, key=lambda n: (means[n], n))):
                row[node_id] = place - (len(nodes) - 1) / 2
    top = min(row.values(), default=0.0)
    return {
        node_id: (MARGIN + column * (WIDTH + ACROSS), MARGIN + (row[node_id] - top) * (HEIGHT + DOWN))
        for column, nodes in columns.items()
        for node_id in nodes
    }


def svg(provenance: Provenance) -> str:
    """Return a drawing; every text in it is escaped, and boxes and lines tell more when pointed at."""
    where = places(provenance)
    width = max((x for x, _ in where.values()), default=0) + WIDTH + MARGIN
    height = max((y for _, y in where.values()), default=0) + HEIGHT + MARGIN + LEGEND
    width = max(width, 640)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" style="{STYLE}">',
        f"<title>{escape(_title(provenance))}</title>",
        *_markers(),
        f'<rect width="{width:g}" height="{height:g}" fill="white"/>',
        *(_line(edge, where, provenance) for edge in provenance.edges),
        *(_box(node, *where[node.node_id], node.node_id in provenance.about) for node in provenance.nodes),
        *_legend(provenance, height),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _title(provenance: Provenance) -> str:
    names = ", ".join(dict.fromkeys(provenance.node(about).name for about in provenance.about))
    return f"Where {names} comes from" if provenance.direction == "whence" else f"What became of {names}"


def _markers() -> list[str]:
    heads = (
        f'<marker id="{grade}" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
        f'orient="auto" markerUnits="userSpaceOnUse"><path d="M0 0 L8 4 L0 8 z" fill="{colour}"/></marker>'
        for grade, colour in LINES.items()
    )
    return ["<defs>", *heads, "</defs>"]


def _line(edge: Edge, where: dict[str, tuple[float, float]], provenance: Provenance) -> str:
    (x1, y1), (x2, y2) = where[edge.source], where[edge.target]
    dash = f' stroke-dasharray="{DASHES[edge.evidence]}"' if edge.evidence in DASHES else ""
    names = f"{provenance.node(edge.source).name} \N{RIGHTWARDS ARROW} {provenance.node(edge.target).name}"
    when = f", {edge.at:%Y-%m-%d %H:%M} UTC" if edge.at else ""
    told = f"{names}: {edge.relation} ({edge.evidence}{when}) {edge.detail}".strip()
    return (
        f'<path d="{_curve(x1, y1, x2, y2)}" fill="none" '
        f'stroke="{LINES[edge.evidence]}" stroke-width="1.6"{dash} marker-end="url(#{edge.evidence})">'
        f"<title>{escape(told)}</title></path>"
    )


def _curve(x1: float, y1: float, x2: float, y2: float) -> str:
    """Return a line from the right of one box to the left of another; one that leads back goes above them."""
    if x2 <= x1:
        x1, x2 = x1 + WIDTH / 2, x2 + WIDTH / 2
        return f"M{x1:g} {y1:g} C{x1:g} {y1 - MARGIN:g} {x2:g} {y2 - MARGIN:g} {x2:g} {y2:g}"
    x1, y1, y2 = x1 + WIDTH, y1 + HEIGHT / 2, y2 + HEIGHT / 2
    bend = max(40.0, abs(x2 - x1) / 2)
    return f"M{x1:g} {y1:g} C{x1 + bend:g} {y1:g} {x2 - bend:g} {y2:g} {x2:g} {y2:g}"


def _box(node: Node, x: float, y: float, asked: bool) -> str:
    border = '#222" stroke-width="2.2' if asked else '#9aa3ad" stroke-width="1'
    told = "\n".join(filter(None, (node.kind, node.name, node.detail, *node.facts.values())))
    radius = 4 if node.kind in ("bytes", "code") else HEIGHT / 2
    middle = y + (23 if node.detail else 32)
    detail = (
        f'<text x="{x + WIDTH / 2:g}" y="{y + 41:g}" font-size="11" fill="#555" text-anchor="middle">'
        f"{escape(_short(node.detail, LETTERS + 6))}</text>"
        if node.detail
        else ""
    )
    return (
        f'<g><title>{escape(told)}</title><rect x="{x:g}" y="{y:g}" width="{WIDTH}" height="{HEIGHT}" '
        f'rx="{radius:g}" fill="{FILLS[node.kind]}" stroke="{border}"/>'
        f'<text x="{x + WIDTH / 2:g}" y="{middle:g}" font-size="13" font-weight="600" fill="#222" '
        f'text-anchor="middle">{escape(_short(node.name, LETTERS))}</text>{detail}</g>'
    )


def _short(text: str, letters: int) -> str:
    """Return text that fits, without its middle: a name ends in what kind of file it is."""
    if len(text) <= letters:
        return text
    return f"{text[: letters - 11]}\N{HORIZONTAL ELLIPSIS}{text[-10:]}"


def _legend(provenance: Provenance, height: float) -> list[str]:
    """Return what the colours of lines mean, of those that occur."""
    x, y, found = MARGIN, height - 18, []
    for grade in EVIDENCE:
        if any(edge.evidence == grade for edge in provenance.edges):
            dash = f' stroke-dasharray="{DASHES[grade]}"' if grade in DASHES else ""
            found.append(
                f'<path d="M{x} {y:g} h28" stroke="{LINES[grade]}" stroke-width="1.6"{dash}/>'
                f'<text x="{x + 34}" y="{y + 4:g}" font-size="11" fill="#444">{grade}'
                f"<title>{escape(EVIDENCE[grade])}</title></text>"
            )
            x += 110
    if provenance.cut:
        found.append(f'<text x="{x}" y="{y + 4:g}" font-size="11" fill="#444">there is more than is shown</text>')
    return found
