"""Parts that several transformer families are made of; each family's own network stands in its folder."""
