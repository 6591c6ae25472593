"""How the work and what came of it are seen from outside."""
