"""What directories say about accounts and groups, and how far each was read. Rows are added, none overwritten."""

from __future__ import annotations

from schemas.engine import dj
from schemas.people import Account, Person  # noqa: F401  (definitions refer to them)

schema = dj.Schema()


@schema
class AccountStateKind(dj.Lookup):
    definition = """
    # What can be the matter with an account
    account_state : varchar(16) # enabled | disabled | deleted
    """
    contents = tuple({"account_state": state} for state in ("enabled", "disabled", "deleted"))


@schema
class AccountState(dj.Manual):
    definition = """
    # The state of an account since a moment, as its directory says; the latest is its state now
    -> Account
    state_since : datetime(6) # UTC, when the directory was read
    ---
    -> AccountStateKind
    """


@schema
class AccountMoved(dj.Manual):
    definition = """
    # An account turned out to belong to somebody else than was thought; Account holds whom it belongs to now
    -> Account
    moved_at : datetime(6) # UTC
    ---
    -> Person.proj(moved_from='person_id')
    -> Person.proj(moved_to='person_id')
    """


@schema
class PersonName(dj.Manual):
    definition = """
    # What a person is called since a date, as the directory says; Person holds the latest
    -> Person
    name_since : date # first day, UTC
    ---
    person_name : varchar(255)
    """


@schema
class DirectoryEntry(dj.Manual):
    definition = """
    # What a directory says about an account since a moment, in its own words; the latest is what it says now
    -> Account
    entry_since : datetime(6) # UTC, when the directory was read
    ---
    entry_kind : varchar(16) # person | guest | service
    entry_name='' : varchar(255) # of the person, for people to read
    entry_login='' : varchar(255) # that people sign in with
    entry_mail='' : varchar(254)
    entry_department='' : varchar(128) # empty = none
    entry_title='' : varchar(255) # job title
    entry_manager='' : varchar(32) # account of the manager; empty = none
    entry_machine_login='' : varchar(255) # login at the company's machines
    entry_employee='' : varchar(64) # number of the employee
    """


@schema
class DirectoryGroup(dj.Manual):
    definition = """
    # A group of accounts
    group_id : char(32) # identity of realm and key
    ---
    group_realm : varchar(255) # directory that the group belongs to
    group_key : varchar(255) # the directory's own stable id
    """


@schema
class GroupName(dj.Manual):
    definition = """
    # A name that a group had on a day; the latest is its name now
    -> DirectoryGroup
    group_named_on : date # day, UTC
    name_id : char(32) # identity of the name
    ---
    group_name : varchar(255)
    """


@schema
class GroupMember(dj.Manual):
    definition = """
    # An account is in a group itself, not by way of another group, since a moment
    -> DirectoryGroup
    -> Account
    joined_at : datetime(6) # UTC, when the directory was read
    """


@schema
class GroupMemberEnded(dj.Manual):
    definition = """
    # And no longer is
    -> GroupMember
    ---
    left_at : datetime(6) # UTC, when the directory was read
    """


@schema
class GroupNested(dj.Manual):
    definition = """
    # A group is in another one, so that whoever is in it is in that, too
    -> DirectoryGroup
    -> DirectoryGroup.proj(inner_id='group_id')
    nested_at : datetime(6) # UTC, when the directory was read
    """


@schema
class GroupNestedEnded(dj.Manual):
    definition = """
    # And no longer is
    -> GroupNested
    ---
    unnested_at : datetime(6) # UTC, when the directory was read
    """


@schema
class GroupGone(dj.Manual):
    definition = """
    # A group is no longer in its directory; a later member means that it came back
    -> DirectoryGroup
    group_gone_at : datetime(6) # UTC, when the directory was read
    """


@schema
class Feed(dj.Manual):
    definition = """
    # Something that tells what has changed since it was asked last
    feed : varchar(255) # kind and place, as entra/TENANT/users
    """


@schema
class FeedPosition(dj.Manual):
    definition = """
    # How far a feed was read; the highest number counts, lower ones may be deleted
    -> Feed
    position_no : int64 # from 1
    ---
    position_token : varchar(8192) # where to go on, as the source gave it; empty = from the beginning
    position_at : datetime(6) # UTC, when this was written
    """
