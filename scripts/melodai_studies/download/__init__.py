"""Fetches songs from the web: politely, resumably, and from public addresses only."""
