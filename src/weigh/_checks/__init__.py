"""The rules of ``weigh check``: what may be wrong with a network, one family a file."""
