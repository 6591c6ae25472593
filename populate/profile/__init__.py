"""What is in a content, told in a few lines: rows, columns, types, what is missing, ranges, first rows.

`populate.profile.task` is run in a limited child process only (`populate.duplicates.forms.limited`):
it parses bytes that anybody may have sent.
"""
