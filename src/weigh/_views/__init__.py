"""Views: the parts of a document, and how they become text and JSON."""
