"""Everything that the page of a file shows, as somebody may see it, and what differs between two versions.

`populate.page.page.file_page` puts it together, `populate.page.shape` says what it is made of.
"""
