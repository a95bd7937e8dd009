"""ECT: consistency models tuned from EDM's networks."""
