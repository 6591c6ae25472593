"""Real servers that tests start on loopback, each with a folder and ports of its own."""
