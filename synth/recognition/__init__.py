"""What a face shows, read from pixels: valence, arousal and expression.

=============  =========================================================
``faces``      `FaceSet`: many faces, cut out alike, with labels
``reader``     `FaceReader`: a trained network on crops of faces
=============  =========================================================
"""
