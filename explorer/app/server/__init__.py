"""The server of the dashboard: how it starts, what it refuses, uploads and thumbnails."""
