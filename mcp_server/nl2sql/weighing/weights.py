"""Weights of `trust`; `bench/nl2sql_model.py` fits them on recorded answers of models."""

BIAS = 0.5
WEIGHTS: dict[str, float] = {
    "agreed": 1.0,
    "agreed, sure": 2.0,
}
