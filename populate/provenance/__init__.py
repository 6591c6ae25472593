"""Where results come from and what became of data: runs, code, bytes and shares, as the asker may know them."""
