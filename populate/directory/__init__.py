"""People, departments and groups as a directory tells them: Microsoft Entra, LDAP or a table of the user's.

`entra`, `ldap` and `csv_file` read a directory and return a `picture.Picture`. `known` reads what
the tables hold, `plan` compares the two and says which rows to add, and `sync` does it.
"""
