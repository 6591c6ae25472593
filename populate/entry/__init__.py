"""Rows that people enter by forms: what a form asks for is read from the table, and who entered what is kept."""
