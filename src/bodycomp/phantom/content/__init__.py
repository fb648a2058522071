"""What lies in the trunk: organs, bowel, vessels, findings and devices, and how they vary."""
