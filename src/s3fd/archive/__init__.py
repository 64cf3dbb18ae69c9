"""Archives: any number of pictures to partitions of Parquet, through crashes, on one machine or many."""
