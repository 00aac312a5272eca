"""Datasets of Hugging Face `datasets`, both ways, and Parquet files."""
