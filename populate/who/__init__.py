"""Whom to ask, with whom to work together, and who did the same analysis: ranked, each with its reason."""
