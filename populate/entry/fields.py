"""What a form for a table asks for, as the table's heading says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from data_platform.errors import RestrictionError
from data_platform.settings import Settings
from populate.pipeline import SCHEMAS
from populate.silo import SiloParameter
from schemas.binding import Binding
from schemas.conversation import MailAddress
from schemas.engine import dj
from schemas.people import Department, Departure, Membership

OWN = (Department, Membership, Departure, MailAddress, SiloParameter)
"""Tables of the platform's own that a steward may add to by a form."""

MOST_CHOICES = 10_000
LONG = 200  # characters, from which on a text gets several lines

WHOLE = {
    "int8": (-(2**7), 2**7 - 1),
    "int16": (-(2**15), 2**15 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint8": (0, 2**8 - 1),
    "uint16": (0, 2**16 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
    "tinyint": (-(2**7), 2**7 - 1),
    "smallint": (-(2**15), 2**15 - 1),
    "mediumint": (-(2**23), 2**23 - 1),
    "int": (-(2**31), 2**31 - 1),
    "integer": (-(2**31), 2**31 - 1),
    "bigint": (-(2**63), 2**63 - 1),
}
_TYPE = re.compile(r"^([a-z0-9_ ]+?)\s*(?:\((.*)\))?\s*(unsigned)?$", re.IGNORECASE)
_OPTION = re.compile(r"'((?:[^']|'')*)'")


@dataclass(frozen=True, slots=True)
class Field:
    """A column that is asked for.

    Attributes
    ----------
    kind
        ``text``, ``integer``, ``number``, ``decimal``, ``bool``, ``day``, ``moment``, ``choice``, ``json`` or
        ``other``: what no form can take.
    required
        It has to be filled in: the column takes no empty value and has no default.
    length
        Most characters of a text; 0 = any number.
    options
        Of a choice.
    parent
        Full name of the table that it refers to, empty = none; ``parent_column`` is what it is called there.
    """

    name: str
    kind: str
    in_key: bool
    required: bool
    help: str = ""
    default: Any = None
    length: int = 0
    low: int | None = None
    high: int | None = None
    options: tuple[str, ...] = ()
    parent: str = ""
    parent_column: str = ""

    @property
    def label(self) -> str:
        """The name as people read it."""
        return self.name.replace("_", " ").capitalize()


@dataclass(frozen=True, slots=True)
class Form:
    """A table that rows can be added to; ``title`` is what its first line says."""

    table: str
    title: str
    fields: tuple[Field, ...]

    @property
    def key(self) -> tuple[str, ...]:
        """Names of the columns of the primary key."""
        return tuple(field.name for field in self.fields if field.in_key)

    @property
    def dated(self) -> tuple[Field, ...]:
        """Columns of the key that hold a time: with these a row can be followed by another."""
        return tuple(field for field in self.fields if field.in_key and field.kind in ("day", "moment"))

    @property
    def usable(self) -> bool:
        """Whether a form can fill in all that has to be."""
        return all(field.kind != "other" or not field.required for field in self.fields)


def tables(binding: Binding, settings: Settings, *, steward: bool) -> list[str]:
    """Return the tables that somebody may add to, as ``schema.table``: the laboratory's own first.

    Parameters
    ----------
    steward
        Whether they may add to the platform's own, too.
    """
    binding.ensure()
    found = [name for schema in settings.dashboard.entry_schemas for name in _in_schema(binding, schema)]
    return found + (own_tables() if steward else [])


def is_own(binding: Binding, schema: str) -> bool:
    """Tell whether a schema is one of the platform's own."""
    return schema in {f"{binding.settings.database.prefix}_{name}" for name, _ in SCHEMAS}


def own_tables() -> list[str]:
    """Return the platform's own tables that forms are for."""
    return [f"{table.database}.{table.table_name}" for table in OWN]


def _in_schema(binding: Binding, schema: str) -> Iterator[str]:
    """Yield the Manual and Lookup tables of a schema that are no parts of others."""
    if is_own(binding, schema):
        return  # what the platform keeps itself is not entered by whoever comes
    listed = binding.connection.query(binding.connection.adapter.list_tables_sql(schema)).fetchall()
    for (name,) in sorted(listed):
        if re.fullmatch(r"#?[a-z][a-z0-9_]*", name) and "__" not in name:
            yield f"{schema}.{name}"


def table_of(binding: Binding, name: str) -> Any:
    """Return a table by ``schema.table``. Only names that `tables` returned are to be given."""
    schema, _, table = name.partition(".")
    quote = binding.connection.adapter.quote_identifier
    return dj.FreeTable(binding.connection, f"{quote(schema)}.{quote(table)}")


def form_of(binding: Binding, name: str) -> Form:
    """Return what a form for a table asks for.

    Raises
    ------
    RestrictionError
        If there is no such table.
    """
    table = table_of(binding, name)
    try:
        attributes = table.heading.attributes
    except dj.DataJointError as error:
        raise RestrictionError(f"There is no table {name}. Take one of the list.") from error
    binding.connection.dependencies.load(schema_names={table.database})
    parents = {
        column: (parent, there)
        for parent, link in table.parents(foreign_key_info=True)
        for column, there in link["attr_map"].items()
    }
    fields = tuple(
        _field(binding, attribute, *parents.get(attribute.name, ("", ""))) for attribute in attributes.values()
    )
    return Form(name, str((table.heading.table_status or {}).get("comment") or ""), fields)


def _field(binding: Binding, attribute: Any, parent: str, there: str) -> Field:
    text = str(attribute.original_type or attribute.type)
    match = _TYPE.match(text.strip())
    kind, details = _kind(match[1].lower() if match else "", (match[2] if match else "") or "")
    if kind == "other" and attribute.type.startswith("enum_"):
        kind, details = "choice", {"options": _enumerated(binding, attribute.type)}
    if attribute.is_blob or attribute.autoincrement or attribute.codec is not None:
        kind, details = "other", {}
    default = _default(attribute.default, kind)
    required = not attribute.nullable and default is None and not attribute.autoincrement
    return Field(
        name=attribute.name,
        kind=kind,
        in_key=attribute.in_key,
        required=required,
        help=str(attribute.comment or ""),
        default=default,
        parent=parent,
        parent_column=there,
        **details,
    )


def _kind(base: str, argument: str) -> tuple[str, dict[str, Any]]:
    if base in WHOLE:
        low, high = (0, 1) if (base, argument) == ("tinyint", "1") else WHOLE[base]
        return ("bool", {}) if (base, argument) == ("tinyint", "1") else ("integer", {"low": low, "high": high})
    if base in ("char", "varchar", "text", "longtext", "character varying", "character"):
        return "text", {"length": int(argument) if argument.isdigit() else 0}
    if base == "enum":
        return "choice", {"options": tuple(option.replace("''", "'") for option in _OPTION.findall(argument))}
    simple = {
        "number": ("float32", "float64", "float", "double", "real", "double precision"),
        "decimal": ("decimal", "numeric"),
        "bool": ("bool", "boolean"),
        "day": ("date",),
        "moment": ("datetime", "timestamp", "timestamp without time zone"),
        "json": ("json", "jsonb"),
    }
    return next((kind for kind, names in simple.items() if base in names), "other"), {}


def _enumerated(binding: Binding, name: str) -> tuple[str, ...]:
    """Return the values of an enumeration of PostgreSQL."""
    found = binding.connection.query(
        "SELECT e.enumlabel FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid"
        " WHERE t.typname = %s ORDER BY e.enumsortorder",
        (name,),
    ).fetchall()
    return tuple(dict.fromkeys(label for (label,) in found))


def _default(written: Any, kind: str) -> Any:
    """Return a default as a value; None where there is none, or the database makes it up."""
    if written is None:
        return None
    text = str(written).strip().strip('"').split("::")[0].strip()
    if text.lower() in ("null", ""):
        return "" if text == "" and kind == "text" else None
    bare = text.strip("'")
    if kind == "bool":
        return bare.lower() in ("1", "true", "b'1'")
    if kind == "integer":
        return int(bare) if re.fullmatch(r"-?\d+", bare) else None
    if kind == "number":
        return float(bare) if re.fullmatch(r"-?\d+(\.\d+)?([eE][-+]?\d+)?", bare) else None
    return bare if kind in ("text", "choice") else None
