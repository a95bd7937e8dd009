"""FlowTurbo: SiT whose last steps correct the velocity by a network of one block instead of estimating it anew."""
