"""The vocabulary: values and pure functions. Imports nothing else of ours."""
