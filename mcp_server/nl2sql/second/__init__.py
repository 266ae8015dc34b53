"""A second reading of questions, independent of the rules of the first."""
