"""A planned set on a Ray cluster: the same jobs, shards and bytes as on one machine.

``ray_engine`` (`synth.distributed.engine`) runs jobs on actors, ``connected``
(`synth.distributed.cluster`) finds the cluster, `synth.distributed.remote` moves shards
to an address such as ``s3://bucket/set`` and reads back what is there.

Own actors and not Ray Data's ``map_batches``: there a batch is a value that may be made
again at any time, and an actor that dies takes its batch to another one without telling
which photo was in work. Here the output is files, a shard is done when its manifest is
there, and a photo that kills two actors must be named and left out.

Nothing is imported here: the board's process loads this package and little else.
"""
