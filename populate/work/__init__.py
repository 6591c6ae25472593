"""Who does which job when."""
