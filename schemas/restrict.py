"""The one door for restrictions with values from outside.

DataJoint 2.3.5 puts list and dict values into SQL without escaping them, calls ``str()`` on
any object, takes a misspelt attribute for "all rows", and never matches a backslash on
PostgreSQL. `where` refuses the first three and mends the last.
"""
