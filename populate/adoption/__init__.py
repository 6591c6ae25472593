"""How far the product is used and what it is worth, and the monthly report of it."""
