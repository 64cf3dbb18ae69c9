"""Archives: resumable detection on any number of pictures, written to Parquet, on one or more machines."""
