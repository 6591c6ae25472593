"""Recalls: an owner says that a version is wrong, and everybody whom that concerns is told."""
