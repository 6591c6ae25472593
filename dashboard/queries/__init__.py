"""What the pages ask of the catalogue, a module for each part of the dashboard; tests call these without Streamlit."""
