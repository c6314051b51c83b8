"""Statistics of many meshes in correspondence: alignment, principal components, curves."""
