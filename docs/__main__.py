"""Write the reference pages that the code itself is the source of: ``make docs``.

A test compares the pages with the code, so neither can drift from the other.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from docs.command_line import command_line_page
from schemas.engine import dj

REFERENCE = Path(__file__).parent / "reference"


def tables_page() -> str:
    """Every table with its definition, in the order in which schemas are declared."""
    from populate.pipeline import SCHEMAS

    lines = ["# Tables", "", "A table's definition is its documentation. Lines above `---` are the primary key.", ""]
    for name, schema in SCHEMAS:
        lines += [f"## {name}", ""]
        for table in _tables_of(schema):
            lines += [f"### {table.__name__}", "", "```", inspect.cleandoc(str(table.definition)), "```", ""]
    return "\n".join(lines)


def _tables_of(schema: dj.Schema) -> Iterator[type]:
    for module in [module for module in list(sys.modules.values()) if vars(module).get("schema") is schema]:
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, dj.Table) and value.__module__ == module.__name__:
                yield value


def settings_page() -> str:
    """Every setting with its variable, default and meaning."""
    from data_platform.settings import Settings

    precedence = inspect.cleandoc(sys.modules[Settings.__module__].__doc__ or "")
    rows = "\n".join(
        f"| `{key}` | `{variable}` | {default} | {meaning} |" for key, variable, default, meaning in _settings(Settings)
    )
    return (
        f"# Settings\n\n{precedence}\n\n| key in the file | variable | default | meaning |\n|---|---|---|---|\n{rows}\n"
    )


def _settings(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[str, str, str, str]]:
    for name, field in model.model_fields.items():
        here = (*path, name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _settings(field.annotation, here)
            continue
        known = field.default is not PydanticUndefined and str(field.default) not in ("", "()")
        default = f"`{field.default}`" if known and "SecretStr" not in repr(field.default) else ""
        yield ".".join(here), "DATA_PLATFORM_" + "__".join(here).upper(), default, field.description or ""


PAGES = {"command-line.md": command_line_page, "settings.md": settings_page, "tables.md": tables_page}


def main() -> None:
    """Write all pages."""
    REFERENCE.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (REFERENCE / name).write_text(page(), encoding="utf-8")
        print(f"docs/reference/{name}")


if __name__ == "__main__":
    main()
