"""Published data sets from the download to a table of results: all steps, each one once."""
