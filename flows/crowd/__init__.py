"""Flows of the crowd, one for each operation of `sluice crowd`."""
