"""Every family of decoders with tiny random networks, as a checkpoint in the released layout.

To add one: a function in tests/tiny_<family>.py that writes a checkpoint into a folder and gives
the folder, and a line here.
"""

import tiny_flux_ip_adapter
import tiny_ip_adapter
import tiny_kandinsky
import tiny_kandinsky_2_1
import tiny_karlo
import tiny_rae
import tiny_stable
import tiny_stable_cascade

WRITERS = {  # name in MODELS -> writes what `load(name, source=folder)` reads
    "kandinsky-2.2": tiny_kandinsky.tiny_kandinsky,
    "kandinsky-2.1": tiny_kandinsky_2_1.tiny_kandinsky_2_1,
    "karlo": tiny_karlo.tiny_karlo,
    "sd-image-variations": tiny_stable.tiny_sd_image_variations,
    "stable-cascade": tiny_stable_cascade.tiny_stable_cascade,
    "stable-unclip": tiny_stable.tiny_stable_unclip,
    "stable-unclip-small": tiny_stable.tiny_stable_unclip_small,
    "ip-adapter-sd15": tiny_ip_adapter.tiny_ip_adapter_sd15,
    "ip-adapter-sdxl": tiny_ip_adapter.tiny_ip_adapter_sdxl,
    "flux-ip-adapter": tiny_flux_ip_adapter.tiny_flux_ip_adapter,
}
SIZES = {  # of those that would decode images of 1024 pixels
    "stable-cascade": (256, 256),
    "flux-ip-adapter": (16, 16),
}
BY_TRAINING = {"rae": tiny_rae.tiny_model}  # gives a model with a decoder made for it
