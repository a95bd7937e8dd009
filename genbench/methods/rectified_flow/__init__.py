"""2-rectified flow++: EDM's networks as the velocity of a rectified flow."""
