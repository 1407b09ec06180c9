"""Fetches songs from the web: politely, resumably, and from nowhere but where it was sent."""
