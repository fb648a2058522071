"""How good models are, on what a user has truth for; ``run.evaluate`` is the entry point."""
