"""What the code of runs says of itself: a part of the inbox beside the accesses."""

from __future__ import annotations

from schemas.engine import dj
from schemas.sharing import AccessBatch  # noqa: F401  (definitions refer to it)

schema = dj.Schema()


@schema
class RunCode(dj.Manual):
    definition = """
    # The script or notebook of a run that accesses of a batch came from, as it was when these were delivered
    -> AccessBatch
    execution_id : char(32) # run
    ---
    code_sha256 : char(64) # of the file
    code_title='' : varchar(1000) # how it introduces itself: first words of its docstring, comment or heading
    code_outline='' : varchar(4000) # JSON object of lists: imports, defines, calls; no values
    commit_subject='' : varchar(255) # first line of the commit's message
    """
