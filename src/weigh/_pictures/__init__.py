"""Pictures of tensors and of their distributions, as shapes that become SVG, PNG or letters."""
