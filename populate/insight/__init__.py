"""What managers and stewards learn from the rows: silos, bridges, concentration, and how they change."""
