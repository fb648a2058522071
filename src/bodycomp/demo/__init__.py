"""Everything on synthetic patients: cohort, both trainings, analysis, comparison."""
