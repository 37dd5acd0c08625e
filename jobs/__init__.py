"""The verbs that the command line and the scheduler share."""
