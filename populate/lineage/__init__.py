"""Tells an OpenLineage backend what runs read and wrote, if the settings name one."""
