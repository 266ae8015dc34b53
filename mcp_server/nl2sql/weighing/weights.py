"""Weights of `trust`; `bench/nl2sql_model.py` fits them on answers of models."""

BIAS = 1.583
WEIGHTS: dict[str, float] = {
    "agreed": 0.642,
    "agreed, same text": 0.345,
    "agreed, sure": 2.190,
    "finds nothing": -1.886,
    "lead built-in": 1.051,
    "lead model": -0.491,
    "lead shape": -0.560,
    "mended after a refusal": -0.678,
    "mended after nothing": -0.388,
    "nearly agreed": -0.110,
    "no other reading": -0.483,
    "other rows": -0.084,
    "other rows, sure": -1.906,
    "other shape": -0.565,
    "sure, lead built-in": 0.865,
    "sure, lead shape": 0.159,
}
