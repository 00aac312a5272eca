"""What `datakit check` looks for in a dataset, its transforms and its loader, before anybody trains on them."""
