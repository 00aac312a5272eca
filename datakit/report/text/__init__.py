"""Texts and tokens drawn: chips with their numbers, batches as matrices, in colours by what a number is."""
