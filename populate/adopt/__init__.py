"""Cataloguing and backing up a share that was there before anybody read from it: `data-platform adopt`."""
