"""Helpers that several families of models use.

hub, download, manifest     weights: repositories, downloads, checksums
on_word                     what data that names a model may load
checkpoint, networks        load networks of diffusers and transformers, and place them
clip_towers, openclip_tags  encoders: CLIP of transformers, names of open_clip's weights
fingerprint, preprocess     identity of an image tower, and its image transform
latent, stable_diffusion    decoders on an autoencoder's latents
patch_decoder               the decoder of pocket and of `unclip train`
compressor, wuerstchen      Stable Cascade's: images as a small grid, its noise schedule
token_prior                 the prior of pocket and of `unclip train`
transformer_prior           the prior of Karlo and Kandinsky 2.2
"""
