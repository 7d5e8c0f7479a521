"""Scale: the same verbs over several machines, with Ray, and search on a server, with Milvus.

No other room knows these packages, and both are optional.

    ray_engine       RayEngine: images are embedded, decoded and placed by actors
    pool             how many actors fit, and what they give, in order
    ray_session      Ray, started here or joined
    embedding        what an actor does with a block of images
    probing          the batch size that embeds most images a second
    decoding         actors that decode batches, and that place points on a map
    telling          what an actor gives, or the error that it met
    publishing       publish: a version of a library to Milvus, whole before it is read
    published        a library on a server, with the same search
    published_hits   what a search found there
    published_store  its version, what is told of it, rows by number
    read_only        what it refuses
    entities         rows as Milvus stores them, and back
    address          milvus://HOST:PORT/NAME
"""
