"""What `inspect` sees: samples stage by stage, a batch, figures of a dataset, and what may be wrong with it."""
