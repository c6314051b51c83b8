"""Triangle meshes: files, normals, nearest points."""
