"""Published data sets in their own layouts -> the cases that ``preparation`` prepares."""
