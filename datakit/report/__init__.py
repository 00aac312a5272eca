"""What `inspect` and `bench` show: tables, pictures, the page and the plot."""
