"""Models of the earlier Keras implementation, read without Keras."""
