"""From a valence-arousal target to the 52 blendshape weights of a face.

``prior`` and ``style`` hold the documented prior (states on the circumplex,
their facial actions, person styles), ``clusters`` the Ward classes of a set of
annotated samples, ``build`` the script that makes the default gallery from
them, ``storage`` the file and ``gallery`` the lookups that the pipeline uses.
``variation`` and ``drawing`` take person styles from the samples of any gallery,
``reading`` says which valence and arousal a face shows, and ``action_units``
what FACS calls it.
"""
