"""How quick and how light Weigh is, beside what people use today: ``python -m benchmarks``."""
