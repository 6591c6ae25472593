"""Files as their sources know them, their versions, and the content these consist of."""

from __future__ import annotations

from schemas.engine import dj
from schemas.people import Account  # noqa: F401  (definitions refer to it)

schema = dj.Schema()


@schema
class SourceSystem(dj.Manual):
    definition = """
    # A place where people keep files: a host's disks, a share, a web server, a bucket
    source_system : varchar(255) # kind and address in lower case, as nfs:filer/export or s3:store.example
    ---
    source_kind : varchar(32) # name of the reader that understands it
    """


@schema
class File(dj.Manual):
    definition = """
    # A file or folder, whatever it was called over time
    file_id : char(32) # identity of source system and item
    ---
    -> SourceSystem
    item_id : varchar(4096) # the source's own stable id; a path where it has no other
    """


@schema
class FileName(dj.Manual):
    definition = """
    # A name under which a file was met on a day; the latest is its name now
    -> File
    named_on : date # day, UTC
    name_id : char(32) # identity of the path
    ---
    file_name : varchar(768) # last part of the path
    file_path : varchar(4096) # path as the source shows it
    """
    starts = ("file_name",)


@schema
class FileOwner(dj.Manual):
    definition = """
    # Whom the source named as a file's owner on a day; the latest is its owner now
    -> File
    owner_since : date # day, UTC
    -> Account
    """


@schema
class FileGone(dj.Manual):
    definition = """
    # The source said that a file is no longer there; a later version means that it came back
    -> File
    gone_on : date # day, UTC
    """


@schema
class Blob(dj.Manual):
    definition = """
    # A content, whoever holds it and however often
    sha256 : char(64) # SHA-256 of the bytes, hex
    ---
    blob_size : int64 # bytes
    """


@schema
class Version(dj.Manual):
    definition = """
    # A file with certain bytes under a revision of its source
    -> File
    version_id : char(32) # identity of revision and content
    ---
    -> Blob
    revision : varchar(512) # the source's token for this state of the file
    """


@schema
class FileSet(dj.Manual):
    definition = """
    # A folder or prefix that was read as a whole
    -> File
    """


@schema
class FileSetMember(dj.Manual):
    definition = """
    # A file in a version of a file set; the content of the set's version is its manifest
    -> FileSet
    -> Version
    path_id : char(32) # identity of the path within the set
    ---
    -> Version.proj(member_id='file_id', member_version='version_id')
    member_path : varchar(1024) # path within the set
    """
