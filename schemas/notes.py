"""What people write about files, keep together, and want to be told of. All dated, none overwritten."""

from __future__ import annotations

from schemas.catalogue import File, Version  # noqa: F401  (definitions refer to them)
from schemas.engine import dj
from schemas.people import Person  # noqa: F401

schema = dj.Schema()


@schema
class FileTag(dj.Manual):
    definition = """
    # Somebody gave a file a tag
    -> File
    tag : varchar(64) # a few words in lower case
    tagged_at : datetime(6) # UTC
    ---
    -> Person.proj(tagged_by='person_id')
    index (tag)
    """


@schema
class FileTagEnded(dj.Manual):
    definition = """
    # And somebody took it away
    -> FileTag
    ---
    untagged_at : datetime(6) # UTC
    -> Person.proj(untagged_by='person_id')
    """


@schema
class Note(dj.Manual):
    definition = """
    # What the owner of a file or a steward says about it
    note_id : char(32) # random
    ---
    -> File
    -> Person.proj(noted_by='person_id')
    noted_as : varchar(16) # owner | steward
    noted_at : datetime(6) # UTC
    note_text : varchar(4000)
    index (file_id)
    """


@schema
class NoteEnded(dj.Manual):
    definition = """
    # A note does not hold any more
    -> Note
    ---
    note_ended_at : datetime(6) # UTC
    -> Person.proj(note_ended_by='person_id')
    replaced_by='' : varchar(32) # note that holds in its place; empty = none
    """


@schema
class Collection(dj.Manual):
    definition = """
    # Files that somebody keeps together, whatever folders and sources they are in
    collection_id : char(32) # random
    ---
    -> Person.proj(keeper_id='person_id')
    collection_made_at : datetime(6) # UTC
    """


@schema
class CollectionTitle(dj.Manual):
    definition = """
    # What a collection is called, and whether colleagues find it, since a moment; the latest holds
    -> Collection
    titled_at : datetime(6) # UTC
    ---
    collection_name : varchar(128)
    collection_about='' : varchar(1000) # what it is for
    collection_shared=0 : bool # colleagues find it, and of its files those that they may know
    """


@schema
class CollectionFile(dj.Manual):
    definition = """
    # A file was put into a collection
    -> Collection
    -> File
    collected_at : datetime(6) # UTC
    """


@schema
class CollectionFileEnded(dj.Manual):
    definition = """
    # And was taken out of it
    -> CollectionFile
    ---
    uncollected_at : datetime(6) # UTC
    """


@schema
class CollectionEnded(dj.Manual):
    definition = """
    # A collection is not kept any more
    -> Collection
    ---
    collection_ended_at : datetime(6) # UTC
    """


@schema
class SavedSearch(dj.Manual):
    definition = """
    # A search that somebody wants to make again; nobody else sees it
    saved_search_id : char(32) # random
    ---
    -> Person
    search_saved_at : datetime(6) # UTC
    search_name : varchar(128)
    search_text='' : varchar(1000) # words
    search_facets='' : varchar(4000) # what it is narrowed to, JSON object of lists; empty = nothing
    index (person_id)
    """


@schema
class SavedSearchEnded(dj.Manual):
    definition = """
    # And does not any more
    -> SavedSearch
    ---
    search_ended_at : datetime(6) # UTC
    """


@schema
class NoticeWay(dj.Lookup):
    definition = """
    # How somebody can be told
    notice_way : varchar(16) # mail | webhook: a request to a program that listens
    """
    contents = tuple({"notice_way": way} for way in ("mail", "webhook"))


@schema
class Subscription(dj.Manual):
    definition = """
    # Somebody wants to be told of each new version of a file
    -> Person
    -> File
    -> NoticeWay
    subscribed_at : datetime(6) # UTC
    ---
    hook_url='' : varchar(1024) # address of the program; of a mail empty
    index (file_id)
    """


@schema
class SubscriptionKnown(dj.Manual):
    definition = """
    # A version that was in the catalogue when somebody subscribed, and is therefore not new
    -> Subscription
    -> Version
    """


@schema
class SubscriptionEnded(dj.Manual):
    definition = """
    # And does not any more
    -> Subscription
    ---
    unsubscribed_at : datetime(6) # UTC
    """


TOLD = (
    *(FileTag, FileTagEnded, Note, NoteEnded),
    *(Collection, CollectionTitle, CollectionFile, CollectionFileEnded, CollectionEnded),
    *(SavedSearch, SavedSearchEnded),
    *(Subscription, SubscriptionKnown, SubscriptionEnded),
)
"""Tables that people add rows to."""
