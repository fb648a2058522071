"""How a slice is shown: textures, noise, artefacts, table and arms."""
