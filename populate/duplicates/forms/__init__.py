"""What a content says, whatever it was saved as: canonical forms by format.

`recognise.form_of` is run in a limited child process only (`limited.Forms`): it parses bytes
that anybody may have sent.
"""
