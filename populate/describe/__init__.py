"""What runs and files are about, in a sentence or two: from their own words and structure, or by a language model."""
