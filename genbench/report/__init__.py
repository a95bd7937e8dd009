"""Views of the store for people: tables as text, leaderboards."""
