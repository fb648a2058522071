"""What a file, folder or archive is, and the one way from any of them to a scan."""
