"""Is a picture good, and are two photos of one person: gates, scores, the leakage audit."""
