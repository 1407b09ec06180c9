"""Moods of music files: from paths to answers, tables, playlists, tags and timelines."""
