"""The rows of the registry of data sets, by topic."""
