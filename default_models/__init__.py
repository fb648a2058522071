"""How the models that ship with bodycomp are made; ``make models`` runs all of it."""
