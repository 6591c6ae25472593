"""People, the logins they use and the departments they work in. All dated, none overwritten."""

from __future__ import annotations

from schemas.engine import dj

schema = dj.Schema()


@schema
class PersonKind(dj.Lookup):
    definition = """
    # What kind of account holder a person row stands for
    person_kind : varchar(16) # unknown | person | guest | service
    """
    contents = tuple({"person_kind": kind} for kind in ("unknown", "person", "guest", "service"))


@schema
class Department(dj.Manual):
    definition = """
    # A department of the organisation
    department : varchar(128) # its name, unique without regard to case; empty stands for none
    """


@schema
class Person(dj.Manual):
    definition = """
    # A human being or a service that reads or shares data
    person_id : char(32) # identity of the login the person was first met under
    ---
    full_name : varchar(255) # as the directory or the login tells it
    -> PersonKind
    """


@schema
class Account(dj.Manual):
    definition = """
    # A login, and the person it belongs to; raw facts refer to logins, so mending this row mends everything
    account_id : char(32) # identity of realm and login
    ---
    realm : varchar(255) # directory that the login belongs to
    login : varchar(255) # as the directory writes it
    -> Person
    """


@schema
class AccountName(dj.Manual):
    definition = """
    # What an account was called on a day, where its login is an id that nobody can read; the latest is its name now
    -> Account
    named_on : date # day, UTC
    name_id : char(32) # identity of the name
    ---
    account_name : varchar(255) # as people sign in with it, say amy@lab.example
    """


@schema
class Membership(dj.Manual):
    definition = """
    # Where a person works since a date
    -> Person
    member_since : date # first day, UTC
    ---
    -> Department
    title='' : varchar(255) # job title
    -> [nullable] Person.proj(manager_id='person_id')
    """


@schema
class Departure(dj.Manual):
    definition = """
    # A person left the organisation; a membership that begins later means that they came back
    -> Person
    departed_on : date # first day without the person, UTC
    """
