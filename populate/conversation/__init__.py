"""The conversation about duplicates: a question to the owner of a copy, an answer, and what came of it."""
