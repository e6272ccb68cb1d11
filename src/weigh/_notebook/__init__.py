"""What notebooks show: HTML beside the text that a terminal has."""
