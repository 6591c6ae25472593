"""The face: what users may call."""
