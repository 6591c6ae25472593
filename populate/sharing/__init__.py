"""What sources already know about sharing: permissions, their own logs, names, moves and versions."""
