"""What is written of a measured series: segmentation, structured report, secondary capture."""
