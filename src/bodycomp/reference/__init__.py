"""Reference values: tables of articles and curves of a group's own, and a person beside them."""
