"""Scale: the same verbs over several machines, with Ray, and search on a server, with Milvus.

No other room knows these packages, and both are optional.

    ray_engine    RayEngine: images are embedded, placed and decoded by actors
    ray_session   Ray, started here or joined
    embedding     what an actor does with a block of images
    probing       the batch size that embeds most images a second
    decoding      points are decoded by actors
"""
