"""Batches in, findings out. Detectors write nothing."""
