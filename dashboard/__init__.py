"""Streamlit pages for discovery and management."""
