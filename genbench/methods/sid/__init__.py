"""SiD: one-step generators distilled from EDM's networks."""
