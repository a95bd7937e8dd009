"""SiT: the DiT transformer trained as a flow on the linear path."""
