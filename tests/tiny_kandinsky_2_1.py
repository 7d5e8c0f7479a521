"""Kandinsky 2.1 with tiny random networks, in the layout of the released repositories."""

from diffusers import VQModel
from diffusers.pipelines.kandinsky.text_encoder import MCLIPConfig, MultilingualCLIP
from tiny_clip import DIMENSION, save
from tiny_kandinsky import MOVQ, write_prior, write_scheduler, write_unet
from tiny_kandinsky import UNET as OF_2_2
from transformers import XLMRobertaTokenizer

SCHEDULER = {  # as in diffusers' conversion, without thresholding, which looks at whole images
    "_class_name": "DDIMScheduler",
    "num_train_timesteps": 1000,
    "beta_schedule": "linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
    "prediction_type": "epsilon",
    "thresholding": False,
}
WORDS = 32  # width of the token states
UNET = OF_2_2 | {
    "addition_embed_type": "text_image",
    "encoder_hid_dim": WORDS,
    "encoder_hid_dim_type": "text_image_proj",
    "cross_attention_dim": DIMENSION,
}
OWN = {"decoder": {}, "inpaint": {"in_channels": 9}}  # what each network has of its own
LETTERS = "▁abcdefghijklmnopqrstuvwxyz"
PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁a", "▁red", "▁cat", "▁dog", *LETTERS]


def tiny_kandinsky_2_1(folder):
    """Write what `kandinsky-2.1` reads: prior, decoder and inpaint."""
    write_prior(folder / "prior", quick_gelu=True)
    movq = VQModel(**MOVQ)
    for seed, (name, own) in enumerate(OWN.items()):
        write_unet(folder / name / "unet", UNET | own, seed)
        save(movq, folder / name / "movq")
        write_scheduler(folder / name, SCHEDULER)
    write_words(folder / "decoder")
    return folder


def write_words(folder):
    """The text encoder of many languages, and its tokenizer."""
    pieces = [(piece, -float(i)) for i, piece in enumerate([*PIECES, "<mask>"])]
    XLMRobertaTokenizer(vocab=pieces).save_pretrained(folder / "tokenizer")
    config = MCLIPConfig(
        transformerDimSize=WORDS,
        imageDimSize=DIMENSION,
        hidden_size=WORDS,
        intermediate_size=37,
        num_attention_heads=2,
        num_hidden_layers=2,
        vocab_size=len(pieces),
        max_position_embeddings=90,
    )
    save(MultilingualCLIP(config), folder / "text_encoder")
