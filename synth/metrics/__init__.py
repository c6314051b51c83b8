"""Numbers that say how good: of pictures, of agreement between annotations."""
