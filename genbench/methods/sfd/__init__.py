"""SFD: LightningDiT on texture and semantic channels together, the semantic ones ahead in time."""
