"""Search: what is indexed of a file, the index, and what it answers to whom."""
