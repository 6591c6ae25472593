"""What Streamlit runs.

It lies by itself: Streamlit would open the files of a folder ``pages`` beside it by their path, past the router.
"""

from dashboard.app import route

route()
