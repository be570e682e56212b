"""The process itself: signals, exit codes, memory, and Keras' backend."""
