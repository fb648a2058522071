"""The steps of a training: their order, their state, and what goes wrong with them."""
