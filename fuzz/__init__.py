"""Coverage-guided fuzzing of the readers: ``make fuzz FORMAT=safetensors SECONDS=600``."""
