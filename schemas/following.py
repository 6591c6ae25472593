"""What the sources say about files that are followed: where they are, who may see them, which versions there are.

Followed are files that somebody read, and all files of drives that were named in the settings.
Everything is dated: the latest row is what the source says now.
"""

from __future__ import annotations

from schemas.catalogue import File, SourceSystem  # noqa: F401  (definitions refer to both)
from schemas.engine import dj
from schemas.sharing import Permission  # noqa: F401

schema = dj.Schema()


@schema
class FollowedDrive(dj.Manual):
    definition = """
    # A drive of a source whose changes are asked for
    drive_key : char(32) # identity of source system and drive
    ---
    -> SourceSystem
    source_drive : varchar(255) # the source's own id
    followed_since : datetime(6) # UTC
    drive_owner_realm : varchar(255) # directory of the person whose drive it is
    drive_owner_login : varchar(255) # empty = a site's
    """


@schema
class DriveNamed(dj.Manual):
    definition = """
    # A drive belongs to what an entry of the settings names: it is followed as a whole as long as the entry is there
    -> FollowedDrive
    entry_id : char(32) # identity of the entry
    ---
    entry_text : varchar(768) # a site, or the id of a drive
    """


@schema
class DrivePosition(dj.Manual):
    definition = """
    # How far the changes of a drive were taken in; the latest counts
    -> FollowedDrive
    position_at : datetime(6) # UTC
    ---
    position_scope : varchar(8) # all: every item is noted; known: only read files; part: within the first list
    position_link : varchar(8192) # where the source goes on, as the source wrote it
    """


@schema
class ItemState(dj.Manual):
    definition = """
    # What a source said of a followed file, or of a folder above one, when it changed
    -> FollowedDrive
    item_key : char(32) # identity of source system and item; of a file its file_id
    state_since : datetime(6) # UTC, when it was seen
    ---
    source_item : varchar(512) # the source's own id within the drive
    parent_key : char(32) # of the folder that it is in; of the root its own
    item_name : varchar(768) # without the path
    item_kind : varchar(16) # file | folder | package | gone
    item_token : varchar(512) # the source's token, which changes with anything about the item; empty = none
    item_size : int64 # bytes; -1 = the source does not tell
    item_shared : varchar(32) # scope of its own sharing, as the source calls it; empty = none that it tells of
    index (item_key)
    index (parent_key)
    """


@schema
class SourceWait(dj.Manual):
    definition = """
    # A source told an application of ours to wait; until then none of its processes asks, on whichever machine
    application_id : char(32) # identity of the application
    wait_until : datetime(6) # UTC, by the clock of the database
    ---
    wait_told_at : datetime(6) # UTC, by the clock of the database
    """


@schema
class ReadFile(dj.Manual):
    definition = """
    # A file that was read: its grants and versions were asked for, whether or not it has some of its own
    -> File
    ---
    read_known_at : datetime(6) # UTC
    """


@schema
class LoggedItem(dj.Manual):
    definition = """
    # What the source's own log calls a followed item
    -> File
    ---
    log_item : char(32) # hexadecimal digits of the unique id
    index (log_item)
    """


@schema
class PermissionDetail(dj.Manual):
    definition = """
    # How a grant was made
    -> Permission
    ---
    source_permission : varchar(512) # the source's own id
    link_scope : varchar(32) # anonymous | organization | users …; empty = no link, or the source does not tell
    link_type : varchar(32) # view | edit …; empty = no link, or the source does not tell
    is_inherited : bool # the source says that it comes from a folder above; false = it does not say so
    is_invitation : bool # made by an invitation
    """


@schema
class PermissionExpiry(dj.Manual):
    definition = """
    # When a grant runs out, as told at a time; the latest counts
    -> Permission
    expiry_told_at : datetime(6) # UTC
    ---
    expires_at : datetime(6) # UTC; the year 9999 = never, after all
    """


@schema
class SourceVersion(dj.Manual):
    definition = """
    # A version in the history that a source keeps of a file
    -> File
    version_label : varchar(255) # the source's own id, as 3.0
    ---
    version_modified_at : datetime(6) # UTC
    version_author : varchar(255) # login or name of who made it; empty = not told
    source_version_size : int64 # bytes; -1 = not told
    """


@schema
class LoggedRead(dj.Manual):
    definition = """
    # A record of a read that was counted; sources deliver records more than once
    log_record_id : char(32) # identity of whose log it is and of the source's own id
    ---
    read_logged_on : date # day, UTC
    """


@schema
class ChangeSubscription(dj.Manual):
    definition = """
    # The source was asked to tell us of changes in a drive
    subscription_id : char(32) # identity of the source's id
    ---
    -> FollowedDrive
    source_subscription : varchar(255) # the source's own id
    """


@schema
class ChangeSubscriptionTerm(dj.Manual):
    definition = """
    # Until when it does so, as agreed at a time; the latest counts
    -> ChangeSubscription
    agreed_at : datetime(6) # UTC
    ---
    subscribed_until : datetime(6) # UTC
    """


@schema
class ChangeSubscriptionEvent(dj.Manual):
    definition = """
    # The source said what became of a subscription
    -> FollowedDrive
    event_at : datetime(6) # UTC, when it was told
    told_subscription : char(32) # identity of the source's id
    lifecycle_event : varchar(32) # subscriptionRemoved | reauthorizationRequired | missed
    """


@schema
class ChangeNotice(dj.Manual):
    definition = """
    # The source said that something has changed in a drive
    -> FollowedDrive
    noticed_at : datetime(6) # UTC
    """


@schema
class ChangeNoticeTaken(dj.Manual):
    definition = """
    # The drive was asked what that is
    -> ChangeNotice
    """
