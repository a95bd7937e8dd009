"""How the small models in registry/weights were trained."""
