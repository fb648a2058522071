"""The machine that trains: devices, memory, and the processes that share a training."""
