"""Labelled pictures of any origin in, a prepared data set (Parquet with a manifest) out; and how it is read again."""
