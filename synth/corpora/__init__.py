"""Sets of faces made by others: one file per published layout."""
