"""The crowd (arXiv 1806.04968): a flow for each operation of `sluice crowd`."""
