"""Contents in the store: brought there, looked after, proven, restored and erased."""
