"""What people, directories and readers write: the Manual and Lookup tables."""
