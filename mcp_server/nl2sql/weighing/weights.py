"""Weights of `trust`; `bench/nl2sql_model.py` fits them on answers of models."""

BIAS = 1.850
WEIGHTS: dict[str, float] = {
    "agreed": 0.555,
    "agreed, same text": 0.319,
    "agreed, sure": 2.151,
    "finds nothing": -1.912,
    "lead built-in": 0.941,
    "lead model": -0.687,
    "lead shape": -0.254,
    "mended after a refusal": -0.709,
    "mended after nothing": -0.416,
    "nearly agreed": -0.019,
    "no other reading": -0.538,
    "other rows": -0.176,
    "other rows, sure": -1.876,
    "other shape": -0.527,
    "sure, lead built-in": 0.809,
    "sure, lead shape": 0.109,
}
