"""What tests share: makers of files and sets, stand-ins for models, harnesses of faults."""
