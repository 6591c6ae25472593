"""Benchmarks: each is run as ``python -m benchmarks.NAME [--small]`` and ends with one JSON object."""
