"""The trunk's wall: its muscles, fat and skin, and how they vary."""
