"""Where shards execute."""
