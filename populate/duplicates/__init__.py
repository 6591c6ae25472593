"""Files that say the same: exact copies, old copies, copies that went their own ways, the same saved differently.

``populate.duplicates.live.exact_duplicates(binding, *, contents, file_id, person_id, min_bytes=1, limit)``
    The present exact duplicates as a list of `live.Copy` (sha256, size, file_id, version_id, name,
    path, source, owner, first_seen, modified, is_origin, evidence); `live.totals(copies)` adds up.
"""
