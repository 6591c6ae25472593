"""What can be read off a table definition without a database."""

from __future__ import annotations

from schemas.declared import attributes, jobs_table, tables
from schemas.engine import dj


def test_only_the_attributes_of_a_definition_are_named() -> None:
    definition = """
    # A comment : with a colon
    -> Other
    -> [nullable] Other.proj(renamed='name : x')
    first : char(32) # identity : of it
    ---
    second='a : b' : varchar(8) # text
    third=null: int64
    fourth =0 : bool
    unique index (first, second)
    index (third)
    """
    assert attributes(definition) == ["first", "second", "third", "fourth"]


def test_parts_and_jobs_have_names_before_they_are_bound() -> None:
    schema = dj.Schema()

    @schema
    class LongWork(dj.Computed):
        definition = "number : int32"

        class Piece(dj.Part):
            definition = "-> master"

    names = [table.table_name for table in tables(schema)]
    assert names == ["__long_work", "__long_work__piece"]
    assert jobs_table(LongWork) == "~~long_work"
