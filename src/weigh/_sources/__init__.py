"""Readers: each states the facts of one format; `bytes.py` is where the bytes come from."""
