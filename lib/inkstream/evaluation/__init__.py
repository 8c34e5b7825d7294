"""A bundle and labelled pictures in; how good it is, where it errs, and what its confidence is worth, out."""
