"""What a finished run of the main loop leaves: its tables, checked; the export with its card; the figures and the report."""
