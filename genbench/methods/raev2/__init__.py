"""RAEv2: DiT^DH whose encoder reads time and class as tokens, and whose early tokens guide it."""
