"""Who read what, and who shares with whom: first as facts in the words of the source, then as rows."""

from __future__ import annotations

from schemas.catalogue import File  # noqa: F401  (definitions refer to both)
from schemas.engine import dj
from schemas.people import Account  # noqa: F401

schema = dj.Schema()


@schema
class AccessBatch(dj.Manual):
    definition = """
    # A delivery of accesses, complete the moment it is visible
    batch_id : char(32) # identity of its events, in order
    ---
    access_count : int32 # accesses in the batch
    delivered_at : datetime(6) # UTC, by the clock of the sender
    delivered_from : varchar(255) # host that sent it
    """


@schema
class AccessRun(dj.Manual):
    definition = """
    # A run that accesses of a batch came from, in its own words
    -> AccessBatch
    execution_id : char(32) # random, one per process
    ---
    started_at : datetime(6) # UTC
    run_realm : varchar(255) # directory of the login
    run_login : varchar(255) # login of the machine that the process runs under
    host : varchar(255) # name of the machine
    entry_point : varchar(4096) # script, notebook or module
    argv : varchar(4096) # arguments, JSON list, secrets removed
    repository : varchar(1024) # URL of the git repository without credentials; empty = none
    commit_id : varchar(64) # checked-out commit; empty = none
    branch : varchar(255) # checked-out branch; empty = none or detached
    dirty : bool # tracked files differed from the commit
    python_version : varchar(32)
    package_version : varchar(32) # of this product
    environment : varchar(2048) # container, scheduler and notebook ids, JSON object
    """


@schema
class Access(dj.Manual):
    definition = """
    # One read, as it happened; the inbox of the catalogue
    event_id : char(32) # begins with its time, so that new rows go to the end of the index
    ---
    -> AccessBatch
    execution_id : char(32) # run that read
    accessed_at : datetime(6) # UTC
    sequence : int64 # rises within a run
    outcome : varchar(64) # ok, or the name of the error
    message='' : varchar(512) # text of the error, secrets removed
    function_name='' : varchar(255) # function that read
    account_realm : varchar(255) # directory of the reader
    account_login : varchar(255) # who read
    account_id : char(32) # identity of both
    account_name='' : varchar(255) # what people know that login by, where it is an id
    known_by : varchar(16) # source | setting | machine: how the reader is known
    on_behalf_of='' : varchar(255) # person that a service account worked for
    source_system='' : varchar(255)
    source_kind='' : varchar(32) # name of the reader
    url : varchar(2048) # link as given, secrets removed
    item_id='' : varchar(4096) # the source's own id
    file_id='' : varchar(32) # identity of the item; empty if it was never resolved
    file_name='' : varchar(768)
    file_path='' : varchar(4096)
    owner_realm='' : varchar(255) # directory of the owner
    owner_login='' : varchar(255) # empty = the source does not say
    owner_name='' : varchar(255) # what people know that login by, where it is an id
    revision='' : varchar(512)
    version_id='' : varchar(32) # identity of revision and content; empty if nothing was read
    sha256='' : varchar(64) # of the bytes that were handed over
    source_hash='' : varchar(128) # the source's own checksum, which need not be that of these bytes
    access_size=-1 : int64 # bytes; -1 if nothing was read
    from_cache=0 : bool # the bytes were on this machine already
    set_file_id='' : varchar(32) # file set that the file was read as a part of
    set_version_id='' : varchar(32) # version of that set
    set_path='' : varchar(1024) # path within that set
    index (accessed_at)
    index (file_id, accessed_at)
    index (account_id, accessed_at)
    index (execution_id)
    """


@schema
class Execution(dj.Manual):
    definition = """
    # A run that read data: whose, where, of which code
    execution_id : char(32) # random, one per process
    ---
    -> Account
    started_at : datetime(6) # UTC
    host : varchar(255) # name of the machine
    entry_point : varchar(4096) # script, notebook or module
    argv : varchar(4096) # arguments, JSON list, secrets removed
    repository : varchar(1024) # URL of the git repository; empty = none
    commit_id : varchar(64) # checked-out commit; empty = none
    branch : varchar(255) # checked-out branch; empty = none or detached
    dirty : bool # tracked files differed from the commit
    python_version : varchar(32)
    package_version : varchar(32) # of this product
    environment : varchar(2048) # container, scheduler and notebook ids, JSON object
    """


@schema
class Permission(dj.Manual):
    definition = """
    # Somebody was granted access to a file at its source
    -> File
    grantee_id : char(32) # identity of the grantee
    granted_since : datetime(6) # UTC, as the source says, else when it was first seen
    ---
    grantee : varchar(255) # login, group, or scope of a link
    grantee_kind : varchar(16) # account | group | link
    permission_level : varchar(32) # as the source calls it: read, write, owner …
    """


@schema
class PermissionEnded(dj.Manual):
    definition = """
    # A grant was taken back or ran out
    -> Permission
    ended_at : datetime(6) # UTC
    """


@schema
class ShareEvent(dj.Manual):
    definition = """
    # An act of sharing that the source's own log tells of
    share_event_id : char(32) # identity of source system and the source's event id
    ---
    -> File
    -> Account.proj(actor_id='account_id')
    shared_at : datetime(6) # UTC
    share_action : varchar(64) # as the source calls it
    share_target='' : varchar(255) # login or scope it was shared with
    """


@schema
class SourceLog(dj.Manual):
    definition = """
    # A part of a source's own log that was taken in, complete the moment it is visible
    source_log_id : char(32) # identity of whose log it is and of the source's own id for that part: taken in once
    ---
    log_source : varchar(255) # kind of the reader, and whose log it is: microsoft365/ and the tenant
    log_taken_at : datetime(6) # UTC, by the clock of the worker
    """


@schema
class SourceRead(dj.Manual):
    definition = """
    # Reads of a file by an account on a day that a part of the source's own log tells of, however they were made
    -> SourceLog
    -> File
    -> Account
    source_read_on : date # day, UTC
    ---
    source_read_count : int32 # records of a read; other parts of the log may tell of more
    """


@schema
class Channel(dj.Lookup):
    definition = """
    # How it is known that data went from one person to another
    channel : varchar(16) # read: it was read; grant: access was granted; event: the source's log says so
    """
    contents = tuple({"channel": channel} for channel in ("read", "grant", "event"))


@schema
class ShareEdge(dj.Manual):
    definition = """
    # Data of one account reached another on a day; a set, so inserting twice changes nothing
    -> Account.proj(producer_id='account_id')
    -> Account.proj(consumer_id='account_id')
    -> File
    shared_on : date # day, UTC
    -> Channel
    """
