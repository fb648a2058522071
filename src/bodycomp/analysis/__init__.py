"""From one volume to one result: score the slices, find the levels, segment, measure. No files."""
