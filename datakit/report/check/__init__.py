"""What `check` found: in a terminal, as JSON, and as a page with pictures of the offenders."""
