"""What people say of the results of a run, and what is measured again because of it."""
