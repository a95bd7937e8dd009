"""Samplers: one folder a family of networks, and what they share."""
