"""Source systems, the local cache, autolog, the outbox and its delivery."""
