"""Sources: folders, tars and tables of images, as items to embed."""
