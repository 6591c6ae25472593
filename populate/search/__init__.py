"""Search: what is indexed of a file, the index of this machine, and what it answers to whom."""
