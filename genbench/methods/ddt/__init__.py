"""DDT: an encoder of low frequencies, whose state steps may share, and a decoder of the velocity."""
